// The descriptors of proto/panal/v1 with their comments, as protoc wrote them at build time.
#pragma once

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace panal {

// Files of package panal.v1, in the order of their names.
std::vector<const google::protobuf::FileDescriptor*> PanalFiles();

// All messages of PanalFiles(), nested ones included, map entries not.
std::vector<const google::protobuf::Descriptor*> PanalMessages();
std::vector<const google::protobuf::EnumDescriptor*> PanalEnums();
std::vector<const google::protobuf::ServiceDescriptor*> PanalServices();

// The comment before `element`, one line, without the blanks around it; empty where there is none.
template <typename Element>
std::string CommentOf(const Element* element);

}  // namespace panal
