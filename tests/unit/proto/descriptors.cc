#include "tests/unit/proto/descriptors.h"

#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/base/check.h"
#include "google/protobuf/descriptor.pb.h"

namespace panal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::OneofDescriptor;
using google::protobuf::ServiceDescriptor;

struct Loaded {
  DescriptorPool pool;
  std::vector<const FileDescriptor*> files;
};

const Loaded& Load() {
  static const Loaded* loaded = [] {
    auto* result = new Loaded;
    std::ifstream file(PANAL_PROTOSET, std::ios::binary);
    google::protobuf::FileDescriptorSet set;
    PANAL_CHECK(set.ParseFromIstream(&file));
    for (const google::protobuf::FileDescriptorProto& proto : set.file()) {
      const FileDescriptor* descriptor = result->pool.BuildFile(proto);
      PANAL_CHECK(descriptor != nullptr);
      if (absl::StartsWith(proto.name(), "panal/")) result->files.push_back(descriptor);
    }
    return result;
  }();
  return *loaded;
}

void AddNested(const Descriptor* message, std::vector<const Descriptor*>& messages) {
  if (message->options().map_entry()) return;
  messages.push_back(message);
  for (int i = 0; i < message->nested_type_count(); ++i)
    AddNested(message->nested_type(i), messages);
}

}  // namespace

std::vector<const FileDescriptor*> PanalFiles() { return Load().files; }

std::vector<const Descriptor*> PanalMessages() {
  std::vector<const Descriptor*> messages;
  for (const FileDescriptor* file : PanalFiles()) {
    for (int i = 0; i < file->message_type_count(); ++i) AddNested(file->message_type(i), messages);
  }
  return messages;
}

std::vector<const EnumDescriptor*> PanalEnums() {
  std::vector<const EnumDescriptor*> enums;
  for (const FileDescriptor* file : PanalFiles()) {
    for (int i = 0; i < file->enum_type_count(); ++i) enums.push_back(file->enum_type(i));
  }
  for (const Descriptor* message : PanalMessages()) {
    for (int i = 0; i < message->enum_type_count(); ++i) enums.push_back(message->enum_type(i));
  }
  return enums;
}

std::vector<const ServiceDescriptor*> PanalServices() {
  std::vector<const ServiceDescriptor*> services;
  for (const FileDescriptor* file : PanalFiles()) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  return services;
}

template <typename Element>
std::string CommentOf(const Element* element) {
  google::protobuf::SourceLocation location;
  if (!element->GetSourceLocation(&location)) return "";
  std::string comment = location.leading_comments;
  absl::RemoveExtraAsciiWhitespace(&comment);
  return comment;
}

template std::string CommentOf(const Descriptor*);
template std::string CommentOf(const EnumDescriptor*);
template std::string CommentOf(const EnumValueDescriptor*);
template std::string CommentOf(const FieldDescriptor*);
template std::string CommentOf(const MethodDescriptor*);
template std::string CommentOf(const OneofDescriptor*);
template std::string CommentOf(const ServiceDescriptor*);

}  // namespace panal
