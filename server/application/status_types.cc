#include "server/application/status_types.h"

#include <initializer_list>

#include "common/base/check.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/duration.pb.h"

namespace panal {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::DescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;

enum class Many : bool { kNo, kYes };

// A field; its number is its place, from 1, as it is in all of these messages.
struct Field {
  const char* name;
  const char* message = nullptr;  // Full name of its type with a leading dot; null: a string.
  Many many = Many::kNo;
};

DescriptorProto& Fill(DescriptorProto& message, const char* name,
                      std::initializer_list<Field> fields) {
  message.set_name(name);
  for (const Field& field : fields) {
    FieldDescriptorProto* added = message.add_field();
    added->set_name(field.name);
    added->set_number(message.field_size());
    added->set_label(field.many == Many::kYes ? FieldDescriptorProto::LABEL_REPEATED
                                              : FieldDescriptorProto::LABEL_OPTIONAL);
    added->set_type(field.message == nullptr ? FieldDescriptorProto::TYPE_STRING
                                             : FieldDescriptorProto::TYPE_MESSAGE);
    if (field.message != nullptr) added->set_type_name(field.message);
  }
  return message;
}

FileDescriptorProto NewFile(const char* name, const char* import) {
  FileDescriptorProto file;
  file.set_name(name);
  file.set_package("google.rpc");
  file.set_syntax("proto3");
  file.add_dependency(import);
  return file;
}

// Names, numbers and types of both files are the interface of google.rpc
// (github.com/googleapis/googleapis), the whole of it: objects that users export have their own
// details.
FileDescriptorProto StatusFile() {
  FileDescriptorProto file = NewFile("google/rpc/status.proto", "google/protobuf/any.proto");
  DescriptorProto& status =
      Fill(*file.add_message_type(), "Status",
           {{"code"}, {"message"}, {"details", ".google.protobuf.Any", Many::kYes}});
  status.mutable_field(0)->set_type(FieldDescriptorProto::TYPE_INT32);
  return file;
}

FileDescriptorProto DetailsFile() {
  FileDescriptorProto file =
      NewFile("google/rpc/error_details.proto", "google/protobuf/duration.proto");
  auto add = [&file](const char* name, std::initializer_list<Field> fields) -> DescriptorProto& {
    return Fill(*file.add_message_type(), name, fields);
  };
  DescriptorProto& info = add(
      "ErrorInfo",
      {{"reason"}, {"domain"}, {"metadata", ".google.rpc.ErrorInfo.MetadataEntry", Many::kYes}});
  Fill(*info.add_nested_type(), "MetadataEntry", {{"key"}, {"value"}})
      .mutable_options()
      ->set_map_entry(true);
  add("RetryInfo", {{"retry_delay", ".google.protobuf.Duration"}});
  add("DebugInfo", {{"stack_entries", nullptr, Many::kYes}, {"detail"}});
  DescriptorProto& quota =
      add("QuotaFailure", {{"violations", ".google.rpc.QuotaFailure.Violation", Many::kYes}});
  Fill(*quota.add_nested_type(), "Violation", {{"subject"}, {"description"}});
  DescriptorProto& precondition =
      add("PreconditionFailure",
          {{"violations", ".google.rpc.PreconditionFailure.Violation", Many::kYes}});
  Fill(*precondition.add_nested_type(), "Violation", {{"type"}, {"subject"}, {"description"}});
  DescriptorProto& bad = add(
      "BadRequest", {{"field_violations", ".google.rpc.BadRequest.FieldViolation", Many::kYes}});
  Fill(*bad.add_nested_type(), "FieldViolation", {{"field"}, {"description"}});
  add("RequestInfo", {{"request_id"}, {"serving_data"}});
  add("ResourceInfo", {{"resource_type"}, {"resource_name"}, {"owner"}, {"description"}});
  DescriptorProto& help = add("Help", {{"links", ".google.rpc.Help.Link", Many::kYes}});
  Fill(*help.add_nested_type(), "Link", {{"description"}, {"url"}});
  add("LocalizedMessage", {{"locale"}, {"message"}});
  return file;
}

const DescriptorPool* MakePool() {
  // Named here so that the linker keeps the files that are imported.
  (void)google::protobuf::Any::descriptor();
  (void)google::protobuf::Duration::descriptor();
  const DescriptorPool* generated = DescriptorPool::generated_pool();
  auto* pool = new DescriptorPool(generated);
  const bool has_status = generated->FindMessageTypeByName("google.rpc.Status") != nullptr;
  const bool has_details = generated->FindMessageTypeByName("google.rpc.ErrorInfo") != nullptr;
  PANAL_CHECK(has_status || pool->BuildFile(StatusFile()) != nullptr);
  PANAL_CHECK(has_details || pool->BuildFile(DetailsFile()) != nullptr);
  return pool;
}

}  // namespace

const DescriptorPool& PoolWithStatusTypes() {
  static const DescriptorPool* const pool = MakePool();
  return *pool;
}

}  // namespace panal
