// Every field, value and method of panal.v1, compared with golden/panal_v1.txt: a change on the
// wire shows up as a change of that file. PANAL_REWRITE_GOLDEN=1 writes it anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/unit/proto/descriptors.h"

namespace panal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

std::string TypeOf(const FieldDescriptor* field) {
  if (field->is_map()) {
    const Descriptor* entry = field->message_type();
    return absl::StrCat("map<", TypeOf(entry->map_key()), ",", TypeOf(entry->map_value()), ">");
  }
  if (field->message_type() != nullptr) return field->message_type()->full_name();
  if (field->enum_type() != nullptr) return field->enum_type()->full_name();
  return field->type_name();
}

std::string LabelOf(const FieldDescriptor* field) {
  if (field->is_map()) return "map";
  if (field->is_repeated()) return "repeated";
  if (field->has_optional_keyword()) return "optional";
  if (field->containing_oneof() != nullptr) {
    return absl::StrCat("oneof:", field->containing_oneof()->name());
  }
  return "singular";
}

std::string StreamOf(bool streaming, const Descriptor* type) {
  return absl::StrCat(streaming ? "stream " : "", type->full_name());
}

std::vector<std::string> Lines() {
  std::vector<std::string> lines;
  for (const Descriptor* message : PanalMessages()) {
    lines.push_back(absl::StrCat("message ", message->full_name()));
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor* field = message->field(i);
      lines.push_back(absl::StrCat("field ", field->full_name(), " ", field->number(), " ",
                                   TypeOf(field), " ", LabelOf(field)));
    }
  }
  for (const EnumDescriptor* type : PanalEnums()) {
    for (int i = 0; i < type->value_count(); ++i) {
      lines.push_back(absl::StrCat("value ", type->full_name(), " ", type->value(i)->name(), " ",
                                   type->value(i)->number()));
    }
  }
  for (const ServiceDescriptor* service : PanalServices()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor* method = service->method(i);
      lines.push_back(
          absl::StrCat("method ", method->full_name(), " (",
                       StreamOf(method->client_streaming(), method->input_type()), ") (",
                       StreamOf(method->server_streaming(), method->output_type()), ")"));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> Golden() {
  std::ifstream file(PANAL_GOLDEN);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(ProtoGolden, NothingOnTheWireChangedUnnoticed) {
  std::vector<std::string> lines = Lines();
  if (std::getenv("PANAL_REWRITE_GOLDEN") != nullptr) {
    std::ofstream file(PANAL_GOLDEN);
    for (const std::string& line : lines) file << line << "\n";
  }
  std::vector<std::string> golden = Golden();

  std::vector<std::string> gone, added;
  std::set_difference(golden.begin(), golden.end(), lines.begin(), lines.end(),
                      std::back_inserter(gone));
  std::set_difference(lines.begin(), lines.end(), golden.begin(), golden.end(),
                      std::back_inserter(added));

  for (const std::string& line : gone) ADD_FAILURE() << "gone: " << line;
  for (const std::string& line : added) ADD_FAILURE() << "new: " << line;
  EXPECT_FALSE(golden.empty());
}

}  // namespace
}  // namespace panal
