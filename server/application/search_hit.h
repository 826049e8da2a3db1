// A record that matches, as programs get it (proto/panal/v1/search_object.proto).
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "common/model/record.h"
#include "panal/v1/search_object.pb.h"
#include "server/processing/core.h"

namespace panal {

// What a hit is called by: its id; for an object its reference.
std::string HitIdOf(const Hit& hit);

// Everything but `sources`. `id` is the hit's HitIdOf.
void FillHit(const Hit& hit, const std::string& id, v1::Hit* out);

// `timeout`, `peers lost`, `enough`, or nothing: also where there is no answer at all.
absl::string_view CutShortName(CutShort cut_short);

}  // namespace panal
