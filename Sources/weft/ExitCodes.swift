// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// What `weft` exits with, beside 0.
extension ExitCode {
    /// The command line makes no sense. (The argument library's own choice is 64, `EX_USAGE`.)
    static let usage = ExitCode(2)
    /// No agent answered: nothing was asked and nothing was changed.
    static let agentUnreachable = ExitCode(3)

    static let documentation = """
        Exit codes: 0 done; 1 it failed, or the agent refused; 2 the command line makes no sense; \
        3 no agent answered. 'weft lab exec' exits with the code of the command it ran.
        """
}
