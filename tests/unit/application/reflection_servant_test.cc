#include "server/application/reflection_servant.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/wire/status_codec.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/descriptor_database.h"
#include "google/protobuf/dynamic_message.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "gtest/gtest.h"
#include "panal/v1/errors.pb.h"
#include "server/application/search_servant.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using Request = ReflectionServant::Request;
using Response = ReflectionServant::Response;

constexpr char kInfo[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

class ReflectionServantTest : public ServantWorld {
 protected:
  ReflectionServantTest() {
    EXPECT_TRUE(router.Add(std::make_shared<SearchServant>(dispatcher, mesh)).ok());
    for (auto& servant : MakeReflectionServants(dispatcher, router)) {
      EXPECT_TRUE(router.Add(servant).ok());
    }
  }

  Response AskOne(const Request& request) {
    auto call = Begin(kInfo, request);
    call->CallerHalfCloses();
    EXPECT_TRUE(call->status().ok());
    return call->Messages<Response>().at(0);
  }
};

TEST_F(ReflectionServantTest, ListsExactlyTheServicesOfTheRouter) {
  Request request;
  request.set_host("here");
  request.set_list_services("");

  const Response response = AskOne(request);

  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names,
              ElementsAre("grpc.reflection.v1.ServerReflection",
                          "grpc.reflection.v1alpha.ServerReflection", "panal.v1.SearchObject"));
  EXPECT_EQ(response.valid_host(), "here");
  EXPECT_TRUE(response.original_request().has_list_services());
}

// What a client does with the answer: build the types from it, without any file of its own.
TEST_F(ReflectionServantTest, GivesFilesFromWhichEveryListedServiceCanBeBuilt) {
  for (const std::string& service : router.Services()) {
    Request request;
    request.set_file_containing_symbol(service);

    const Response response = AskOne(request);

    google::protobuf::SimpleDescriptorDatabase database;
    for (const auto& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      ASSERT_TRUE(file.ParseFromString(bytes));
      ASSERT_TRUE(database.Add(file));
    }
    google::protobuf::DescriptorPool pool(&database);
    const auto* built = pool.FindServiceByName(service);
    const auto* own =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service);
    ASSERT_NE(built, nullptr) << service;
    ASSERT_NE(own, nullptr) << service;
    EXPECT_EQ(built->DebugString(), own->DebugString());
  }
}

TEST_F(ReflectionServantTest, GivesAFileWithAllItImportsEachOnce) {
  Request request;
  request.set_file_by_filename("panal/v1/peer_object.proto");

  const Response response = AskOne(request);

  std::multiset<std::string> names;
  for (const auto& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    names.insert(file.name());
  }
  EXPECT_EQ(names.count("panal/v1/peer_object.proto"), 1u);
  EXPECT_EQ(names.count("panal/v1/frames.proto"), 1u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

// The files of an answer, as a client builds them.
void Build(const Response& response, google::protobuf::SimpleDescriptorDatabase& database) {
  for (const auto& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    ASSERT_TRUE(database.Add(file));
  }
}

// Fields of `own`, an own message, are those of `theirs`, which travels in its place.
void ExpectSameWire(const google::protobuf::Descriptor& own,
                    const google::protobuf::Descriptor& theirs) {
  ASSERT_EQ(own.field_count(), theirs.field_count()) << own.full_name();
  for (int i = 0; i < own.field_count(); ++i) {
    const auto* field = theirs.FindFieldByNumber(own.field(i)->number());
    ASSERT_NE(field, nullptr) << own.field(i)->full_name();
    EXPECT_EQ(field->name(), own.field(i)->name());
    EXPECT_EQ(field->type(), own.field(i)->type());
    EXPECT_EQ(field->label(), own.field(i)->label());
  }
}

TEST_F(ReflectionServantTest, GivesTheTypesOfErrorDetails) {
  for (const char* name : {"Status", "ErrorInfo", "RetryInfo", "BadRequest",
                           "BadRequest.FieldViolation", "ResourceInfo"}) {
    Request request;
    request.set_file_containing_symbol(absl::StrCat("google.rpc.", name));

    google::protobuf::SimpleDescriptorDatabase database;
    Build(AskOne(request), database);

    google::protobuf::DescriptorPool pool(&database);
    const auto* theirs = pool.FindMessageTypeByName(absl::StrCat("google.rpc.", name));
    const auto* own = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
        absl::StrCat("panal.v1.", name));
    ASSERT_NE(theirs, nullptr) << name;
    ASSERT_NE(own, nullptr) << name;
    ExpectSameWire(*own, *theirs);
  }
}

TEST_F(ReflectionServantTest, GivesTheFilesOfErrorDetailsWithWhatTheyImport) {
  for (const auto& [file, import] : std::vector<std::pair<std::string, std::string>>{
           {"google/rpc/status.proto", "google/protobuf/any.proto"},
           {"google/rpc/error_details.proto", "google/protobuf/duration.proto"}}) {
    Request request;
    request.set_file_by_filename(file);

    google::protobuf::SimpleDescriptorDatabase database;
    Build(AskOne(request), database);

    google::protobuf::DescriptorPool pool(&database);
    EXPECT_NE(pool.FindFileByName(file), nullptr) << file;
    EXPECT_NE(pool.FindFileByName(import), nullptr) << import;
  }
}

// What grpcurl does with the details of a failed call.
TEST_F(ReflectionServantTest, GivesTypesThatDecodeTheDetailsOfAnError) {
  Request request;
  request.set_file_containing_symbol("google.rpc.ErrorInfo");
  google::protobuf::SimpleDescriptorDatabase database;
  Build(AskOne(request), database);
  google::protobuf::DescriptorPool pool(&database);
  google::protobuf::DynamicMessageFactory factory;
  v1::Status status;
  ASSERT_TRUE(status.ParseFromString(
      EncodeStatusDetails(Error(ErrorReason::kFileNotFound, "no such file", {{"id", "x"}}))));

  const std::unique_ptr<google::protobuf::Message> info(
      factory.GetPrototype(pool.FindMessageTypeByName("google.rpc.ErrorInfo"))->New());
  ASSERT_TRUE(info->ParseFromString(status.details(0).value()));

  EXPECT_THAT(info->ShortDebugString(), testing::HasSubstr("reason: \"FILE_NOT_FOUND\""));
}

TEST_F(ReflectionServantTest, FindsMethodsMessagesAndFieldsByName) {
  for (const char* symbol : {"panal.v1.SearchObject.Search", "panal.v1.SearchRequest",
                             "panal.v1.SearchRequest.query", "panal.v1.ErrorReason"}) {
    Request request;
    request.set_file_containing_symbol(symbol);
    EXPECT_TRUE(AskOne(request).has_file_descriptor_response()) << symbol;
  }
}

TEST_F(ReflectionServantTest, SaysNotFoundInGrpcsWords) {
  Request file;
  file.set_file_by_filename("no/such.proto");
  Request symbol;
  symbol.set_file_containing_symbol("no.Such");
  Request extension;
  extension.mutable_file_containing_extension()->set_containing_type("panal.v1.Hit");
  extension.mutable_file_containing_extension()->set_extension_number(100);
  Request type;
  type.set_all_extension_numbers_of_type("no.Such");
  const std::vector<std::pair<Request, std::string>> cases = {{file, "File not found."},
                                                              {symbol, "Symbol not found."},
                                                              {extension, "Extension not found."},
                                                              {type, "Type not found."}};
  for (const auto& [request, message] : cases) {
    const Response response = AskOne(request);
    EXPECT_EQ(response.error_response().error_code(), 5);
    EXPECT_EQ(response.error_response().error_message(), message);
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
  }
}

TEST_F(ReflectionServantTest, AnswersAboutExtensions) {
  Request numbers;
  numbers.set_all_extension_numbers_of_type("panal.v1.Hit");

  const Response response = AskOne(numbers);

  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "panal.v1.Hit");
  EXPECT_THAT(response.all_extension_numbers_response().extension_number(), SizeIs(0));
}

TEST_F(ReflectionServantTest, SaysThatAnEmptyRequestIsNotSupported) {
  EXPECT_EQ(AskOne(Request()).error_response().error_code(), 12);
}

TEST_F(ReflectionServantTest, AnswersSeveralRequestsOfOneStreamInOrder) {
  Request list;
  list.set_list_services("");
  Request file;
  file.set_file_by_filename("panal/v1/errors.proto");
  auto call = Begin(kInfo, list);

  call->CallerSends(file);
  call->CallerSends(list);
  call->CallerHalfCloses();

  const auto responses = call->Messages<Response>();
  ASSERT_THAT(responses, SizeIs(3));
  EXPECT_TRUE(responses[0].has_list_services_response());
  EXPECT_TRUE(responses[1].has_file_descriptor_response());
  EXPECT_TRUE(responses[2].has_list_services_response());
}

TEST_F(ReflectionServantTest, SpeaksV1AlphaAsWell) {
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");

  auto call = Begin("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", request);
  call->CallerHalfCloses();

  const auto responses = call->Messages<grpc::reflection::v1alpha::ServerReflectionResponse>();
  ASSERT_THAT(responses, SizeIs(1));
  EXPECT_THAT(responses[0].list_services_response().service(), SizeIs(3));
}

}  // namespace
}  // namespace panal
