// The rules for proto files (CONTRIBUTING.md), over the descriptors of everything in
// proto/panal/v1.
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/proto/descriptors.h"

namespace panal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// Streams between peers, whose messages are frames and not requests.
bool IsPeerStream(const MethodDescriptor* method) {
  return method->full_name() == "panal.v1.PeerObject.Link" ||
         method->full_name() == "panal.v1.PeerObject.Call";
}

std::vector<const MethodDescriptor*> Methods() {
  std::vector<const MethodDescriptor*> methods;
  for (const ServiceDescriptor* service : PanalServices()) {
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

bool HasField(const Descriptor* message, const std::string& name, FieldDescriptor::Type type) {
  const FieldDescriptor* field = message->FindFieldByName(name);
  return field != nullptr && field->type() == type && !field->is_repeated();
}

// SHOUTING_CASE of a CamelCase name.
std::string PrefixOf(const EnumDescriptor* type) {
  std::string prefix;
  for (char c : type->name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty())
      prefix.push_back('_');
    prefix.push_back(absl::ascii_toupper(static_cast<unsigned char>(c)));
  }
  return prefix + "_";
}

TEST(ProtoStyle, SeesEveryFile) {
  EXPECT_EQ(PanalFiles().size(), 5u);
  EXPECT_EQ(PanalServices().size(), 3u);
}

TEST(ProtoStyle, PackagesAreFoldersAndEndInAVersion) {
  for (const FileDescriptor* file : PanalFiles()) {
    EXPECT_EQ(file->package(), "panal.v1") << file->name();
    EXPECT_TRUE(absl::StartsWith(file->name(), "panal/v1/")) << file->name();
    EXPECT_EQ(file->syntax(), FileDescriptor::SYNTAX_PROTO3) << file->name();
  }
}

TEST(ProtoStyle, ServicesAreObjects) {
  for (const ServiceDescriptor* service : PanalServices()) {
    EXPECT_TRUE(absl::EndsWith(service->name(), "Object")) << service->full_name();
  }
}

TEST(ProtoStyle, RequestsAndResponsesAreNamedForTheirMethodAndUsedOnce) {
  std::set<std::string> used;
  for (const MethodDescriptor* method : Methods()) {
    if (IsPeerStream(method)) continue;
    EXPECT_EQ(method->input_type()->name(), absl::StrCat(method->name(), "Request"));
    EXPECT_EQ(method->output_type()->name(), absl::StrCat(method->name(), "Response"));
    EXPECT_TRUE(used.insert(method->input_type()->full_name()).second) << method->full_name();
    EXPECT_TRUE(used.insert(method->output_type()->full_name()).second) << method->full_name();
  }
}

TEST(ProtoStyle, MethodsStateErrorsAndIdempotency) {
  for (const MethodDescriptor* method : Methods()) {
    std::string comment = CommentOf(method);
    EXPECT_TRUE(absl::StrContains(comment, "Errors:")) << method->full_name();
    EXPECT_TRUE(absl::StrContains(comment, "Idempotent:")) << method->full_name();
  }
}

TEST(ProtoStyle, ListsArePaginatedAndNotStreamed) {
  for (const MethodDescriptor* method : Methods()) {
    if (!absl::StartsWith(method->name(), "List")) continue;
    const Descriptor* request = method->input_type();
    const Descriptor* response = method->output_type();
    EXPECT_TRUE(HasField(request, "page_size", FieldDescriptor::TYPE_INT32)) << request->name();
    EXPECT_TRUE(HasField(request, "page_token", FieldDescriptor::TYPE_STRING)) << request->name();
    EXPECT_TRUE(HasField(response, "next_page_token", FieldDescriptor::TYPE_STRING))
        << response->name();
    ASSERT_NE(response->FindFieldByNumber(1), nullptr) << response->name();
    EXPECT_TRUE(response->FindFieldByNumber(1)->is_repeated()) << response->name();
    EXPECT_FALSE(method->server_streaming() || method->client_streaming()) << method->name();
  }
}

TEST(ProtoStyle, EnumsBeginUnspecifiedAndArePrefixed) {
  for (const EnumDescriptor* type : PanalEnums()) {
    ASSERT_NE(type->FindValueByNumber(0), nullptr) << type->full_name();
    EXPECT_EQ(type->FindValueByNumber(0)->name(), absl::StrCat(PrefixOf(type), "UNSPECIFIED"));
    for (int i = 0; i < type->value_count(); ++i) {
      EXPECT_TRUE(absl::StartsWith(type->value(i)->name(), PrefixOf(type)))
          << type->value(i)->full_name();
    }
  }
}

TEST(ProtoStyle, EnumsSayWhetherTheyMayGrow) {
  for (const EnumDescriptor* type : PanalEnums()) {
    std::string comment = CommentOf(type);
    EXPECT_TRUE(absl::StrContains(comment, "May grow") || absl::StrContains(comment, "Closed"))
        << type->full_name();
  }
}

TEST(ProtoStyle, EveryMessageAndFieldIsCommented) {
  for (const Descriptor* message : PanalMessages()) {
    EXPECT_NE(CommentOf(message), "") << message->full_name();
    for (int i = 0; i < message->field_count(); ++i) {
      EXPECT_NE(CommentOf(message->field(i)), "") << message->field(i)->full_name();
    }
    for (int i = 0; i < message->real_oneof_decl_count(); ++i) {
      EXPECT_NE(CommentOf(message->oneof_decl(i)), "") << message->oneof_decl(i)->full_name();
    }
  }
}

TEST(ProtoStyle, EveryServiceMethodEnumAndValueIsCommented) {
  for (const ServiceDescriptor* service : PanalServices()) {
    EXPECT_NE(CommentOf(service), "") << service->full_name();
  }
  for (const MethodDescriptor* method : Methods()) {
    EXPECT_NE(CommentOf(method), "") << method->full_name();
  }
  for (const EnumDescriptor* type : PanalEnums()) {
    EXPECT_NE(CommentOf(type), "") << type->full_name();
    for (int i = 0; i < type->value_count(); ++i) {
      EXPECT_NE(CommentOf(type->value(i)), "") << type->value(i)->full_name();
    }
  }
}

// Ids that a person may copy are text; raw bytes travel only between peers.
TEST(ProtoStyle, IdsAreTextExceptBetweenPeers) {
  for (const MethodDescriptor* method : Methods()) {
    if (IsPeerStream(method) || method->name() == "Blocks") continue;
    for (const Descriptor* message : {method->input_type(), method->output_type()}) {
      for (int i = 0; i < message->field_count(); ++i) {
        const FieldDescriptor* field = message->field(i);
        bool is_id = field->name() == "id" || absl::EndsWith(field->name(), "_id");
        if (is_id) {
          EXPECT_EQ(field->type(), FieldDescriptor::TYPE_STRING) << field->full_name();
        }
      }
    }
  }
}

}  // namespace
}  // namespace panal
