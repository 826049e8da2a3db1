#include "common/rpc/tls_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/initialize.h"

namespace panal {
namespace {

namespace tls = grpc::experimental;

using Provider = std::shared_ptr<tls::StaticDataCertificateProvider>;

// AuthContext property that holds the other end's leaf certificate. The chain property would leave
// the leaf out on the server (OpenSSL's rule).
constexpr char kCertificateProperty[] = "x509_pem_cert";

absl::string_view ViewOf(grpc::string_ref text) { return {text.data(), text.size()}; }

enum class Wanted { kNamedPeer, kAnyPeer };

class PeerVerifier final : public tls::ExternalCertificateVerifier {
 public:
  PeerVerifier(std::shared_ptr<PeerIdCache> ids, Wanted wanted)
      : ids_(std::move(ids)), wanted_(wanted) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* sync_status) override {
    const absl::StatusOr<PeerId> id = ids_->Find(ViewOf(request->peer_cert()));
    if (!id.ok()) {
      *sync_status = {grpc::StatusCode::UNAUTHENTICATED, std::string(id.status().message())};
    } else if (wanted_ == Wanted::kNamedPeer && id->ToText() != ViewOf(request->target_name())) {
      *sync_status = {grpc::StatusCode::UNAUTHENTICATED,
                      absl::StrCat("peer id mismatch: expected ", ViewOf(request->target_name()),
                                   ", got ", id->ToText())};
    }
    return true;
  }

  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::shared_ptr<PeerIdCache> ids_;  // Shared with TlsCredentials.
  const Wanted wanted_;
};

std::shared_ptr<tls::CertificateVerifier> MakeVerifier(std::shared_ptr<PeerIdCache> ids,
                                                       Wanted wanted) {
  return tls::ExternalCertificateVerifier::Create<PeerVerifier>(std::move(ids), wanted);
}

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(
    const Provider& provider, std::shared_ptr<tls::CertificateVerifier> verifier) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(provider);
  options.watch_identity_key_cert_pairs();
  // Never consulted, but without roots of its own a channel wants those of the system, and a bare
  // machine has none.
  options.watch_root_certs();
  // No authority signs our certificates; the verifier compares the key's hash instead.
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::move(verifier));
  return tls::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(
    const Provider& provider, std::shared_ptr<tls::CertificateVerifier> verifier) {
  tls::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  // Skips the chain only: OpenSSL still has the caller prove that it holds the key.
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  options.set_certificate_verifier(std::move(verifier));
  return tls::TlsServerCredentials(options);
}

}  // namespace

TlsCredentials::TlsCredentials(const Identity& identity) : ids_(std::make_shared<PeerIdCache>()) {
  InitializeRpc();
  const std::vector<tls::IdentityKeyCertPair> pairs = {
      {identity.key_pem(), identity.certificate_pem()}};
  const Provider provider =
      std::make_shared<tls::StaticDataCertificateProvider>(identity.certificate_pem(), pairs);
  server_ = MakeServerCredentials(provider, MakeVerifier(ids_, Wanted::kAnyPeer));
  peers_ = MakeChannelCredentials(provider, MakeVerifier(ids_, Wanted::kNamedPeer));
  any_peer_ = MakeChannelCredentials(provider, MakeVerifier(ids_, Wanted::kAnyPeer));
}

void TlsCredentials::Expect(const PeerId& peer, grpc::ChannelArguments& arguments) {
  arguments.SetSslTargetNameOverride(peer.ToText());
}

absl::StatusOr<PeerId> TlsCredentials::PeerOf(const grpc::AuthContext& context) const {
  const std::vector<grpc::string_ref> certificates =
      context.FindPropertyValues(kCertificateProperty);
  if (certificates.size() != 1) {
    return Error(ErrorReason::kCertificateInvalid,
                 absl::StrCat("connection shows ", certificates.size(), " certificates, not 1"));
  }
  return ids_->Find(ViewOf(certificates[0]));
}

}  // namespace panal
