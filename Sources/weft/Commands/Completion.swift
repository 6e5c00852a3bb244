// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print what lets a shell complete weft's words.",
        discussion: """
              weft completion bash > /etc/bash_completion.d/weft
              weft completion zsh > "${fpath[1]}/_weft"
              weft completion fish > ~/.config/fish/completions/weft.fish
            """)

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish

        var kind: CompletionShell {
            switch self {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        }
    }

    @Argument(help: "bash, zsh or fish.") var shell: Shell

    func run() { Console.out(Weft.completionScript(for: shell.kind) + "\n") }
}
