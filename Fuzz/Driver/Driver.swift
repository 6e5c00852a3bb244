// SPDX-License-Identifier: Apache-2.0

import CLibFuzzer
import FoundationEssentials
import Glibc

@testable import FuzzTargets

/// Named by the environment, which the processes inherit that libFuzzer starts to merge corpora.
private let target = fuzzTargets.first { $0.name == environment("WEFT_FUZZ_TARGET") }

private func environment(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }

@main
struct Driver {
    /// Arguments are libFuzzer's. Without a target, lists them; with a folder for its seeds, makes
    /// those and nothing else.
    static func main() throws {
        guard let target else {
            for target in fuzzTargets { print(target.name) }
            return
        }
        if let folder = environment("WEFT_FUZZ_SEEDS") {
            for (index, seed) in try target.seeds().enumerated() {
                try Data(seed).write(to: URL(filePath: "\(folder)/seed-\(index)"))
            }
            return
        }
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? =
            CommandLine.unsafeArgv
        exit(LLVMFuzzerRunDriver(&count, &arguments, check))
    }
}

private func check(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try target?.check(Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        // A trap is what libFuzzer understands: it keeps the bytes that led here.
        fatalError("\(target?.name ?? "?"): \(error)")
    }
    return 0
}
