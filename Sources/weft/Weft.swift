// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct Weft: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weft",
        abstract: "Look into and steer the mesh from one of its nodes.",
        discussion: """
            Is the mesh well? 'weft status', then 'weft cluster list'. A connection fails? \
            'weft why SOURCE DESTINATION:PORT', then 'weft drops -f'. An engineer shall look? \
            'weft bugreport'. 'weft help COMMAND' has examples of each.

            \(ExitCode.documentation) 'weft completion' lets a shell complete commands and options.
            """,
        version: weftVersion,
        subcommands: [LabExecCommand.self],
        groupedSubcommands: [
            CommandGroup(
                name: "Look",
                subcommands: [
                    StatusCommand.self, ClusterCommand.self, NodeCommand.self,
                    ServiceCommand.self, EndpointCommand.self, IdentityCommand.self,
                    PolicyCommand.self,
                    FlowsCommand.self, DropsCommand.self, WhyCommand.self,
                    ConnectivityCommand.self, ConfigCommand.self, KernelCommand.self,
                    BugReportCommand.self,
                ]),
            CommandGroup(
                name: "Steer",
                subcommands: [DrainCommand.self, JoinCommand.self, LeaveCommand.self]),
            CommandGroup(
                name: "Set up",
                subcommands: [
                    AuthorityCommand.self, ContainerNetworkCommand.self, LabCommand.self,
                    AgentCommand.self, CompletionCommand.self,
                ]),
        ])
}
