// Random values within their limits, for properties. Same generator state, same value.
#pragma once

#include <string>

#include "common/base/random.h"
#include "common/model/frame.h"
#include "common/model/page.h"
#include "common/model/record.h"

namespace panal {

PeerId RandomPeerId(Random& random);
PeerContact RandomContact(Random& random);
// Any kind but a peer, which belongs to its publisher's page.
Record RandomRecord(Random& random);
Hit RandomHit(Random& random);
// A page whose hash and publisher are right; its signature is none.
PagePtr RandomPage(Random& random, uint32_t number);
// Of kind `kind`, an index of Frame.
Frame RandomFrame(Random& random, size_t kind);

}  // namespace panal
