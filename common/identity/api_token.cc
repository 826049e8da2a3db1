#include "common/identity/api_token.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/base32.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/key_file.h"
#include "common/identity/openssl_types.h"

namespace panal {
namespace {

// Of a new token: what nobody guesses, however many try.
constexpr size_t kNewTokenBytes = 32;
constexpr absl::string_view kRoleNames[] = {"read", "write", "admin"};

bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

// Whether every character of `text` is a letter, a digit or one of `others`.
bool ConsistsOf(absl::string_view text, absl::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return IsAlnum(c) || others.find(c) != absl::string_view::npos;
  });
}

absl::Status Invalid(size_t line, absl::string_view why) {
  return Error(ErrorReason::kConfigInvalid, absl::StrCat("line ", line, ": ", why),
               {{"line", absl::StrCat(line)}});
}

// One line that is neither empty nor a comment.
absl::StatusOr<ApiToken> ParseLine(absl::string_view text, size_t line) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() < 2 || words.size() > 3) {
    return Invalid(line,
                   absl::StrCat("has ", words.size(), " words; expected is ROLE TOKEN [NAME]"));
  }
  const std::optional<ApiRole> role = ParseApiRole(words[0]);
  // The word is not shown: where two were exchanged, it is the token.
  if (!role) return Invalid(line, "its first word is no role; the roles are read, write and admin");
  if (!IsApiToken(words[1])) {
    return Invalid(line, absl::StrCat("its token of ", words[1].size(), " characters is not ",
                                      kApiTokenSizeMin, " to ", kApiTokenSizeMax,
                                      " of a-z, A-Z, 0-9 and -._~+/; `panal token new` makes one"));
  }
  ApiToken token{.role = *role, .token = std::string(words[1])};
  if (words.size() < 3) return token;
  if (!IsApiTokenName(words[2])) {
    return Invalid(line, absl::StrCat("its name of ", words[2].size(), " characters is not 1 to ",
                                      kApiTokenNameSizeMax, " of a-z, A-Z, 0-9 and -._@"));
  }
  token.name = std::string(words[2]);
  return token;
}

absl::Status FileRefused(const std::string& path, absl::string_view setting,
                         absl::string_view why) {
  return Error(ErrorReason::kConfigInvalid, absl::StrCat(setting, ": ", why),
               {{"setting", std::string(setting)}, {"value", path}});
}

absl::StatusOr<std::string> ReadText(const std::string& path, absl::string_view setting) {
  // A group may read it: so service managers hand secrets to what they start.
  absl::StatusOr<std::optional<std::string>> text =
      internal::ReadSecretFile(path, {.what = "token file",
                                      .mode_refused = 027,
                                      .mode_advised = 0600,
                                      .size_max = kApiTokenFileSizeMax});
  if (!text.ok()) return FileRefused(path, setting, text.status().message());
  if (text->has_value()) return **std::move(text);
  return FileRefused(path, setting, absl::StrCat("there is no file ", path));
}

}  // namespace

absl::string_view ApiRoleName(ApiRole role) {
  const size_t index = static_cast<size_t>(role);
  PANAL_CHECK(index < std::size(kRoleNames));
  return kRoleNames[index];
}

std::optional<ApiRole> ParseApiRole(absl::string_view name) {
  for (size_t i = 0; i < std::size(kRoleNames); ++i) {
    if (kRoleNames[i] == name) return static_cast<ApiRole>(i);
  }
  return std::nullopt;
}

bool IsApiToken(absl::string_view text) {
  if (text.size() < kApiTokenSizeMin || text.size() > kApiTokenSizeMax) return false;
  while (absl::ConsumeSuffix(&text, "=")) {
  }
  return !text.empty() && ConsistsOf(text, "-._~+/");
}

bool IsApiTokenName(absl::string_view text) {
  return !text.empty() && text.size() <= kApiTokenNameSizeMax && ConsistsOf(text, "-._@");
}

ApiToken MakeApiToken(ApiRole role, absl::string_view name) {
  PANAL_CHECK(name.empty() || IsApiTokenName(name));
  return {.role = role,
          .token = Base32Encode(internal::RandomBytes(kNewTokenBytes)),
          .name = std::string(name)};
}

std::string PrintApiToken(const ApiToken& token) {
  return absl::StrCat(ApiRoleName(token.role), " ", token.token, token.name.empty() ? "" : " ",
                      token.name);
}

absl::StatusOr<std::vector<ApiToken>> ParseApiTokens(absl::string_view text) {
  std::vector<ApiToken> tokens;
  std::map<std::string, size_t> lines;  // By token: where it stands.
  size_t line = 0;
  for (absl::string_view row : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    if (++line > kApiTokenLinesMax) {
      return Invalid(line, absl::StrCat("is one more than a file may have, ", kApiTokenLinesMax));
    }
    row = absl::StripAsciiWhitespace(row);
    if (row.empty() || row.front() == '#') continue;
    PANAL_ASSIGN_OR_RETURN(ApiToken token, ParseLine(row, line));
    const auto [at, fresh] = lines.emplace(token.token, line);
    if (!fresh) return Invalid(line, absl::StrCat("its token is that of line ", at->second));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

absl::StatusOr<std::vector<ApiToken>> ReadApiTokenFile(const std::string& path,
                                                       absl::string_view setting) {
  PANAL_ASSIGN_OR_RETURN(const std::string text, ReadText(path, setting));
  absl::StatusOr<std::vector<ApiToken>> tokens = ParseApiTokens(text);
  if (!tokens.ok()) {
    return FileRefused(path, setting, absl::StrCat(path, ", ", tokens.status().message()));
  }
  if (!tokens->empty()) return tokens;
  return FileRefused(
      path, setting,
      absl::StrCat(path, " holds no token; `panal token new --role admin` prints a line for it"));
}

absl::StatusOr<std::string> ReadApiToken(const std::string& path, absl::string_view setting) {
  PANAL_ASSIGN_OR_RETURN(const std::string text, ReadText(path, setting));
  const absl::string_view alone = absl::StripAsciiWhitespace(text);
  if (IsApiToken(alone)) return std::string(alone);
  PANAL_ASSIGN_OR_RETURN(const std::vector<ApiToken> tokens, ReadApiTokenFile(path, setting));
  if (tokens.size() == 1) return tokens[0].token;
  return FileRefused(path, setting,
                     absl::StrCat(path, " holds ", tokens.size(), " tokens; expected is one"));
}

ApiTokenSet::ApiTokenSet(const std::vector<ApiToken>& tokens) {
  for (const ApiToken& token : tokens) {
    entries_.push_back({Sha256(token.token), {token.role, token.name}});
  }
}

const ApiTokenSet::Holder* ApiTokenSet::Find(absl::string_view token) const {
  const Sha256Digest digest = Sha256(token);
  const Holder* found = nullptr;
  for (const Entry& entry : entries_) {
    const bool same =
        CRYPTO_memcmp(entry.digest.bytes.data(), digest.bytes.data(), digest.bytes.size()) == 0;
    if (same) found = &entry.holder;
  }
  return found;
}

}  // namespace panal
