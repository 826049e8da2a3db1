#include "common/model/object_ref.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

using testing::HasSubstr;

PeerId Peer() {
  PeerId id;
  id.bytes.fill(3);
  return id;
}

std::string TextOf(absl::string_view rest) {
  return absl::StrCat("panal://", Peer().ToText(), rest);
}

std::string ErrorOf(absl::string_view text) {
  absl::StatusOr<ObjectRef> ref = ObjectRef::Parse(text);
  if (ref.ok()) return "";
  EXPECT_EQ(ReasonOf(ref.status()), ErrorReason::kReferenceInvalid);
  return std::string(ref.status().message());
}

TEST(ObjectRef, PrintsWhatItParses) {
  ObjectRef ref{Peer(), "acme.thumbs.v1.Thumbnailer", "eu-1"};

  EXPECT_EQ(ref.ToText(), TextOf("/acme.thumbs.v1.Thumbnailer/eu-1"));
  EXPECT_EQ(*ObjectRef::Parse(ref.ToText()), ref);
}

TEST(ObjectRef, MayHaveAnEmptyKey) {
  ObjectRef ref{Peer(), "panal.v1.PeerObject", ""};

  EXPECT_EQ(ref.ToText(), TextOf("/panal.v1.PeerObject/"));
  EXPECT_EQ(*ObjectRef::Parse(TextOf("/panal.v1.PeerObject/")), ref);
  EXPECT_EQ(*ObjectRef::Parse(TextOf("/panal.v1.PeerObject")), ref);
}

TEST(ObjectRef, PercentEncodesWhatIsNotUnreserved) {
  ObjectRef ref{Peer(), "a.B", "x/y z%\xc3\xa9~"};

  EXPECT_EQ(ref.ToText(), TextOf("/a.B/x%2Fy%20z%25%C3%A9~"));
  EXPECT_EQ(*ObjectRef::Parse(ref.ToText()), ref);
  EXPECT_EQ(*ObjectRef::Parse(TextOf("/a.B/x%2fy%20z%25%c3%a9%7e")), ref);
}

TEST(ObjectRef, SaysWhatIsWrong) {
  EXPECT_THAT(ErrorOf("http://x"), HasSubstr("does not begin with panal://"));
  EXPECT_THAT(ErrorOf("panal://short/a.B/"), HasSubstr("peer id"));
  EXPECT_THAT(ErrorOf(TextOf("")), HasSubstr("service"));
  for (absl::string_view rest : {"/", "//k", "/a..B/", "/.a/", "/1a/", "/a-b/", "/a%2Eb/"}) {
    EXPECT_THAT(ErrorOf(TextOf(rest)), HasSubstr("service")) << rest;
  }
  for (absl::string_view rest : {"/a.B/k/l", "/a.B/ ", "/a.B/%", "/a.B/%2", "/a.B/%zz", "/a.B/é"}) {
    EXPECT_THAT(ErrorOf(TextOf(rest)), HasSubstr("percent-encoded")) << rest;
  }
  EXPECT_THAT(ErrorOf(TextOf("/a.B/%00")), HasSubstr("NUL"));
}

TEST(ObjectRef, BoundsItsKeyAndItsText) {
  std::string key(kObjectKeySizeMax, 'k');
  EXPECT_EQ(ErrorOf(TextOf("/a.B/" + key)), "");
  EXPECT_THAT(ErrorOf(TextOf("/a.B/" + key + "k")), HasSubstr("513 bytes exceeds 512"));

  std::string service(kReferenceSizeMax - TextOf("//").size(), 's');
  EXPECT_EQ(ErrorOf(TextOf("/" + service + "/")), "");
  EXPECT_THAT(ErrorOf(TextOf("/" + service + "s/")), HasSubstr("2049 bytes exceed 2048"));
}

}  // namespace
}  // namespace panal
