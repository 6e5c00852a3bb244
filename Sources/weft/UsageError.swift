// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

/// A command as words name it.
private struct NamedCommand {
    let type: any ParsableCommand.Type
    let words: [String]

    /// The command that the first of `arguments` lead to.
    init(below root: any ParsableCommand.Type, _ arguments: [String]) {
        var type = root
        var words = [Self.name(of: root)]
        for argument in arguments {
            let children = type.configuration.subcommands
            guard let child = children.first(where: { Self.name(of: $0) == argument }) else {
                break
            }
            type = child
            words.append(argument)
        }
        self.type = type
        self.words = words
    }

    var text: String { words.joined(separator: " ") }

    /// What may stand behind it; empty where that is something of its own.
    var children: [String] {
        guard type.configuration.defaultSubcommand == nil else { return [] }
        // Key paths of metatypes crash the compiler (Swift 6.3.1).
        return type.configuration.subcommands.filter { $0.configuration.shouldDisplay }
            .map { Self.name(of: $0) }
    }

    private static func name(of type: any ParsableCommand.Type) -> String {
        type.configuration.commandName ?? "\(type)".lowercased()
    }
}

extension Complaint {
    /// What a value has to be, by its name in the help, where the library doesn't say so.
    private static let forms = [
        (
            name: "namespace/name",
            form: "NAMESPACE/NAME, or NAME in 'default', of a-z, 0-9, . and -"
        ),
        (name: "duration", form: "a number and us, ms, s or m, at most a day"),
    ]

    /// What 'help' is asked for that isn't there; nil: it is, or nothing is asked for.
    static func help(
        of root: any ParsableCommand.Type, _ arguments: [String]
    ) -> Complaint? {
        guard arguments.first == "help" else { return nil }
        let wanted = Array(arguments.dropFirst())
        let command = NamedCommand(below: root, wanted)
        guard let next = wanted.dropFirst(command.words.count - 1).first, !next.hasPrefix("-"),
            !command.children.isEmpty
        else { return nil }
        return usage("", of: root, wanted)
    }

    /// What is wrong with a command line, and where its help is.
    ///
    /// - Parameters:
    ///   - message: of the argument library, without the usage.
    ///   - arguments: behind the program's name.
    static func usage(
        _ message: String, of root: any ParsableCommand.Type, _ arguments: [String]
    ) -> Complaint {
        let command = NamedCommand(below: root, arguments)
        var sentence = message.prefix(1).lowercased() + message.dropFirst()
        let children = command.children
        let next = arguments.dropFirst(command.words.count - 1).first ?? "-"
        if !next.hasPrefix("-"), !children.isEmpty {
            sentence = "there is no command '\(command.text) \(next)'"
            if let meant = nearest(next, among: children) {
                sentence += "; did you mean '\(command.text) \(meant)'?"
            }
        }
        if sentence.contains(" is invalid for '"),
            let form = forms.first(where: { sentence.hasSuffix("<\($0.name)>'") })
        {
            sentence += ": it is \(form.form)"
        }
        while let last = sentence.last, ".\n".contains(last) { sentence.removeLast() }
        return Complaint(
            sentence, hint: "'\(command.text) --help' says what it takes", code: .usage)
    }
}
