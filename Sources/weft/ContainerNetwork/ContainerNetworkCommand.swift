// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshCNI

struct ContainerNetworkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cni", abstract: "Have a container runtime give containers their network.",
        subcommands: [Install.self, Uninstall.self])

    struct Folders: ParsableArguments {
        @Option(help: ArgumentHelp("Where the runtime looks for plugins.", valueName: "folder"))
        var plugins = "/opt/cni/bin"

        @Option(help: ArgumentHelp("Where it looks for networks.", valueName: "folder"))
        var networks = "/etc/cni/net.d"

        var plugin: String { "\(plugins)/\(CNINetworkList.pluginName)" }
        /// Before whatever others are called: runtimes take the first.
        var network: String { "\(networks)/05-weft.conflist" }
    }

    struct Install: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put the plugin and a network that uses it where the runtime finds them.",
            discussion: """
                The plugin is this very program, copied. Without --after Weft makes containers' \
                interfaces, with addresses of the node's podPrefixes; with it, Weft takes over the \
                interfaces that another network's plugins make. Repeating it is an upgrade.

                  weft cni install
                  weft cni install --after /etc/cni/net.d/10-flannel.conflist
                """)

        @OptionGroup var folders: Folders

        @Option(
            help: ArgumentHelp(
                "A network whose plugins come first; the file stays as it is.", valueName: "file"))
        var after: String?

        @Option(
            name: .customLong("agent-socket"),
            help: ArgumentHelp(
                "The agent's administration socket, if it isn't the usual one.", valueName: "path"))
        var agentSocket: String?

        func run() throws {
            let list =
                if let after {
                    try chained(after)
                } else {
                    CNINetworkList.primary(socket: agentSocket)
                }
            try InstalledFile(folders.plugin).copy(from: "/proc/self/exe")
            try InstalledFile(folders.network).write(list)
            Console.out("\(folders.plugin)\n\(folders.network)\n")
        }

        private func chained(_ file: String) throws -> [UInt8] {
            do throws(CNIError) {
                return try CNINetworkList.chained(
                    after: try InstalledFile(file).read(atMost: CNINetworkList.bytesMaximum),
                    socket: agentSocket)
            } catch {
                throw Refusal("\(file): \(error.message)")
            }
        }
    }

    struct Uninstall: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take away what 'weft cni install' put there.",
            discussion: """
                New containers get what the runtime's next network gives them. Delete those that Weft \
                attached before the agent goes: whoever deletes them later needs it.

                  weft cni uninstall
                """)

        @OptionGroup var folders: Folders

        func run() throws {
            // First what names it.
            for file in [folders.network, folders.plugin] { try InstalledFile(file).remove() }
        }
    }
}
