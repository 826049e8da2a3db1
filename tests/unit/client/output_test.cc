#include "client/cli/output.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "client/proxy/client.h"
#include "common/base/status.h"

namespace panal::cli {
namespace {

TEST(Printable, LeavesWordsOfEveryScript) {
  for (const char* text : {"", "plain", "Lindenbl\u00fcte \u2013 \u8702\u871c",
                           "\u05d3\u05d1\u05e9", "\U0001f41d", "\u00a0", "\u200d", "\ufffd"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(Printable, ShowsC0AndDelAsQuestionMarks) {
  EXPECT_EQ(Printable("a\x1b[31mb\nc\x7f"), "a?[31mb?c?");
  EXPECT_EQ(Printable(std::string("\0\x1f ~", 4)), "?? ~");
}

TEST(Printable, ShowsC1AsOneQuestionMarkEach) {
  EXPECT_EQ(Printable("a\u0080b\u009bc\u009fd"), "a?b?c?d");
  EXPECT_EQ(Printable("\u00a0"), "\u00a0");  // One past them.
}

TEST(Printable, ShowsBidirectionalControlsAndLineSeparatorsAsQuestionMarks) {
  EXPECT_EQ(Printable("exe.\u202egnp"), "exe.?gnp");
  EXPECT_EQ(Printable("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"),
            "??????????");
  EXPECT_EQ(Printable("\u2066\u2067\u2068\u2069"), "????");
  EXPECT_EQ(Printable("\u2027\u202f\u2065\u206a\u200d\u2010"),
            "\u2027\u202f\u2065\u206a\u200d\u2010");
}

TEST(Printable, ShowsBytesThatAreNoUtf8AsQuestionMarks) {
  EXPECT_EQ(Printable("\x9b"
                      "31m"),
            "?31m");  // C1 of a terminal that takes single bytes.
  EXPECT_EQ(Printable("caf\xe9"), "caf?");
  EXPECT_EQ(Printable("\xe2\x80"), "??");  // Cut off.
  EXPECT_EQ(Printable("\xc0\x9b"), "??");  // Overlong.
}

TEST(WriteError, NamesThePathAndTellsAFullDiskFromARefusal) {
  EXPECT_EQ(ReasonNameOf(WriteError("/x/y", ENOSPC)), "STORAGE_FULL");
  EXPECT_EQ(ReasonNameOf(WriteError("/x/y", EDQUOT)), "STORAGE_FULL");
  absl::Status status = WriteError("/x/y", EACCES);
  EXPECT_EQ(ReasonNameOf(status), "PATH_UNWRITABLE");
  EXPECT_EQ(status.message(), "cannot write /x/y: Permission denied");
}

TEST(Fail, CallsWhatNobodyCouldAnswerWrongUsage) {
  for (ErrorReason reason :
       {ErrorReason::kArgumentInvalid, ErrorReason::kAttributeInvalid, ErrorReason::kConfigInvalid,
        ErrorReason::kFileIdInvalid, ErrorReason::kPeerIdInvalid, ErrorReason::kQueryInvalid}) {
    EXPECT_EQ(Fail(Error(reason, "x")), kExitUsage) << ReasonName(reason);
  }
  EXPECT_EQ(Fail(Error(ErrorReason::kFileAmbiguous, "x")), kExitFailed);
  EXPECT_EQ(Fail(Error(ErrorReason::kFileNotFound, "x")), kExitNotFound);
  EXPECT_EQ(Fail(Error(ErrorReason::kPeerUnreachable, "x")), kExitUnreachable);
}

}  // namespace
}  // namespace panal::cli
