// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab

@main
enum Entry {
    static func main() async {
        let task = Task { await Bench.main() }
        let isWorkload = CommandLine.arguments.dropFirst().first.map {
            [AnswerCommand.name, AskCommand.name].contains($0)
        }
        if isWorkload != true { cancelWhenInterrupted(task) }
        await task.value
    }
}

/// Measures the product in labs of its own and prints a figure a line; reports, doesn't judge.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weft-bench", abstract: "Measure Weft: one JSON object a figure and line.",
        discussion: """
            Needs root. The benchmarks build labs out of network namespaces, and remove them whatever \
            happens. Figures: name, value, unit, the baseline measured in the same run, the ratio to \
            it, and the goal that one of them is held against.
            """,
        subcommands: [
            FailoverBenchmark.self, PathBenchmark.self, PropagationBenchmark.self,
            LedgerBenchmark.self, HealthBenchmark.self, SoakBenchmark.self, TrustBenchmark.self,
            PolicyBenchmark.self, OperatorsBenchmark.self, KubernetesBenchmark.self,
            AnswerCommand.self, AskCommand.self, KubernetesWriteCommand.self,
            RelayPeersCommand.self,
        ])
}

struct BenchOptions: ParsableArguments {
    @Flag(help: "Fewer repetitions: at most 50 seconds.") var quick = false
    @Option(help: ArgumentHelp("The program weft. Default: beside this one.", valueName: "path"))
    var weft: String?

    func product() throws -> String {
        let path = try weft ?? ownExecutable(named: "weft")
        guard access(path, X_OK) == 0 else {
            throw LabError(.unsupported, "there is no program \(path): build the product first")
        }
        return path
    }
}

/// Path of this program, or of another in its folder.
func ownExecutable(named name: String? = nil) throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { throw LabError(.failed, "can't read /proc/self/exe") }
    let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let name else { return path }
    return path.split(separator: "/", omittingEmptySubsequences: false)
        .dropLast().joined(separator: "/") + "/\(name)"
}

/// Tells whoever watches what is going on; figures alone go to standard output.
func tell(_ text: String) {
    var line = text + "\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
