// common/base/error_reasons.inc and the enum in errors.proto are the same registry.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "panal/v1/errors.pb.h"
#include "tests/unit/proto/descriptors.h"

namespace panal {
namespace {

struct Row {
  ErrorReason reason;
  std::string name;
  absl::StatusCode code;
  std::string text;
};

std::vector<Row> Rows() {
  return {
#define PANAL_REASON(name, wire, code, text) \
  {ErrorReason::k##name, #wire, absl::StatusCode::code, text},
#include "common/base/error_reasons.inc"
#undef PANAL_REASON
  };
}

const google::protobuf::EnumDescriptor* ReasonEnum() {
  for (const google::protobuf::EnumDescriptor* type : PanalEnums()) {
    if (type->full_name() == "panal.v1.ErrorReason") return type;
  }
  return nullptr;
}

TEST(ErrorReasons, HaveTheNamesAndNumbersOfTheProto) {
  for (const Row& row : Rows()) {
    v1::ErrorReason value = v1::ERROR_REASON_UNSPECIFIED;
    std::string name = absl::StrCat("ERROR_REASON_", row.name);
    ASSERT_TRUE(v1::ErrorReason_Parse(name, &value)) << name;
    EXPECT_EQ(static_cast<int>(row.reason), static_cast<int>(value)) << name;
  }
}

TEST(ErrorReasons, AreAllOfTheProto) {
  ASSERT_NE(ReasonEnum(), nullptr);
  EXPECT_EQ(ReasonEnum()->value_count(), static_cast<int>(Rows().size()) + 1);
}

TEST(ErrorReasons, HaveTheTextAndCodeOfTheProto) {
  for (const Row& row : Rows()) {
    const google::protobuf::EnumValueDescriptor* value =
        ReasonEnum()->FindValueByNumber(static_cast<int>(row.reason));
    ASSERT_NE(value, nullptr) << row.name;
    EXPECT_EQ(CommentOf(value),
              absl::StrCat(row.text, " Code ", absl::StatusCodeToString(row.code), "."));
  }
}

}  // namespace
}  // namespace panal
