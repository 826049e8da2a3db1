#!/usr/bin/env python3
"""peers.main(): a run that skipped everything must not look like one that passed."""

import os
import subprocess
import sys
import unittest

import peers

PROGRAM = """
import sys, unittest
sys.path.insert(0, {folder!r})
import peers
class Some(unittest.TestCase):
    def test_one(self):
        {one}
    def test_two(self):
        {two}
class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("no tool for the class")
    def test_three(self):
        pass
peers.main()
"""
SKIP = 'self.skipTest("no tool")'


class Main(unittest.TestCase):

    def run_tests(self, one, two):
        program = PROGRAM.format(folder=os.path.dirname(peers.__file__), one=one, two=two)
        return subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True,
                              timeout=peers.PATIENCE)

    def test_all_skipped_is_77_and_says_why(self):
        done = self.run_tests(SKIP, SKIP)

        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("test_one", done.stdout)
        self.assertIn("no tool for the class", done.stdout)

    def test_one_that_ran_is_a_pass_and_names_the_other(self):
        done = self.run_tests("pass", SKIP)

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"skipped: test_two .*: no tool")

    def test_one_that_failed_is_a_failure(self):
        self.assertEqual(self.run_tests(SKIP, "self.fail()").returncode, 1)


if __name__ == "__main__":
    peers.main()
