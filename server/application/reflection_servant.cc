#include "server/application/reflection_servant.h"

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "server/application/status_types.h"

namespace panal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using Response = ReflectionServant::Response;

void Refuse(absl::StatusCode code, absl::string_view message, Response& response) {
  auto* error = response.mutable_error_response();
  error->set_error_code(static_cast<int>(code));
  error->set_error_message(std::string(message));
}

// The file and all it imports, each once. Iterative: imports may be nested as deep as they like.
void AddFiles(const FileDescriptor* file, Response& response) {
  auto* files = response.mutable_file_descriptor_response();
  std::set<const FileDescriptor*> seen = {file};
  std::vector<const FileDescriptor*> open = {file};
  while (!open.empty()) {
    const FileDescriptor* next = open.back();
    open.pop_back();
    google::protobuf::FileDescriptorProto proto;
    next->CopyTo(&proto);
    files->add_file_descriptor_proto(proto.SerializeAsString());
    for (int i = 0; i < next->dependency_count(); ++i) {
      if (seen.insert(next->dependency(i)).second) open.push_back(next->dependency(i));
    }
  }
}

void AnswerFile(const FileDescriptor* file, absl::string_view missing, Response& response) {
  if (file == nullptr) return Refuse(absl::StatusCode::kNotFound, missing, response);
  AddFiles(file, response);
}

void AnswerExtensionNumbers(const DescriptorPool& pool, const std::string& type,
                            Response& response) {
  const Descriptor* descriptor = pool.FindMessageTypeByName(type);
  if (descriptor == nullptr) {
    return Refuse(absl::StatusCode::kNotFound, "Type not found.", response);
  }
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(descriptor, &extensions);
  auto* numbers = response.mutable_all_extension_numbers_response();
  numbers->set_base_type_name(type);
  for (const FieldDescriptor* extension : extensions) {
    numbers->add_extension_number(extension->number());
  }
}

// One conversation; it keeps nothing between two requests.
class Exchange final : public MessageExchange<ReflectionServant::Request, Response> {
 public:
  explicit Exchange(const ReflectionServant& servant) : servant_(servant) {}

  absl::Status OnMessage(const ReflectionServant::Request& request,
                         const StreamWriter<Response>& writer) override {
    writer.Write(servant_.Answer(request));
    return absl::OkStatus();
  }

 private:
  const ReflectionServant& servant_;
};

}  // namespace

ReflectionServant::ReflectionServant(absl::string_view service, Dispatcher& dispatcher,
                                     const Router& router)
    : Servant(service, dispatcher), router_(router), pool_(PoolWithStatusTypes()) {
  // Named here so that the linker keeps its descriptor, which a caller of v1alpha asks for.
  (void)grpc::reflection::v1alpha::ServerReflectionRequest::descriptor();
  Bidi("ServerReflectionInfo", WorkClass::kCalls, &ReflectionServant::Info);
}

absl::StatusOr<std::unique_ptr<MessageExchange<ReflectionServant::Request, Response>>>
ReflectionServant::Info(const CallHead& head) {
  return std::make_unique<Exchange>(*this);
}

Response ReflectionServant::Answer(const Request& request) const {
  Response response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kFileByFilename:
      AnswerFile(pool_.FindFileByName(request.file_by_filename()), "File not found.", response);
      break;
    case Request::kFileContainingSymbol:
      AnswerFile(pool_.FindFileContainingSymbol(request.file_containing_symbol()),
                 "Symbol not found.", response);
      break;
    case Request::kFileContainingExtension: {
      const auto& asked = request.file_containing_extension();
      const Descriptor* type = pool_.FindMessageTypeByName(asked.containing_type());
      const FieldDescriptor* extension =
          type == nullptr ? nullptr : pool_.FindExtensionByNumber(type, asked.extension_number());
      AnswerFile(extension == nullptr ? nullptr : extension->file(), "Extension not found.",
                 response);
      break;
    }
    case Request::kAllExtensionNumbersOfType:
      AnswerExtensionNumbers(pool_, request.all_extension_numbers_of_type(), response);
      break;
    case Request::kListServices: {
      auto* list = response.mutable_list_services_response();
      for (const std::string& service : router_.Services()) list->add_service()->set_name(service);
      break;
    }
    case Request::MESSAGE_REQUEST_NOT_SET:
      Refuse(absl::StatusCode::kUnimplemented, "Request not supported.", response);
      break;
  }
  return response;
}

std::vector<std::shared_ptr<ReflectionServant>> MakeReflectionServants(Dispatcher& dispatcher,
                                                                       const Router& router) {
  return {std::make_shared<ReflectionServant>(kReflectionV1, dispatcher, router),
          std::make_shared<ReflectionServant>(kReflectionV1Alpha, dispatcher, router)};
}

}  // namespace panal
