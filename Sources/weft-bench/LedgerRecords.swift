// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel
import MeshReplication

/// Endpoints as a cluster of three namespaces and a hundred nodes has them.
enum LedgerRecords {
    static func endpoint(_ number: Int, of cluster: ClusterID, version: Int = 0) -> LedgerChange {
        let suffix = String(number, radix: 36)
        let padding = String(repeating: "0", count: max(5 - suffix.count, 0))
        return .put(
            EndpointRecord(
                object: ObjectName(
                    namespace: ["default", "shop", "payments"][number % 3],
                    name: "web-7d4b9c5f6-\(padding)\(suffix)"),
                node: "node-\(number % 100 + 100)",
                addresses: [
                    Address(ipv4: 0x0a00_0000 | UInt32(number & 0xff_ffff))
                ],
                identity: Identity(cluster: cluster, local: 256 + UInt32((number + version) % 40))
                    ?? Identity(rawValue: 0),
                labels: [:]))
    }

    /// Changes of the first thousand endpoints in turn; none leaves its record as it was, which would
    /// make no revision.
    struct Churn {
        private let cluster: ClusterID
        private var count = 0

        init(of cluster: ClusterID) { self.cluster = cluster }

        mutating func next() -> LedgerChange {
            defer { count += 1 }
            return endpoint(count % 1000, of: cluster, version: 1 + count / 1000)
        }
    }

    static func endpoints(_ numbers: Range<Int>, of cluster: ClusterID) -> [LedgerChange] {
        numbers.map { endpoint($0, of: cluster) }
    }
}

/// glibc's own, which its Swift module leaves out.
@_silgen_name("malloc_trim")
private func trimAllocator(_ padding: Int) -> Int32

/// Resident anonymous memory of this process, bytes, with what the allocator holds unused given back.
func anonymousMemory() throws -> Double {
    _ = trimAllocator(0)
    guard let file = fopen("/proc/self/status", "re") else {
        throw failure("read /proc/self/status")
    }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = fread(&buffer, 1, buffer.count, file)
    for line in String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n")
    where line.hasPrefix("RssAnon:") {
        let words = line.split { $0 == " " || $0 == "\t" }
        if words.count == 3, let kibibytes = Double(words[1]) { return kibibytes * 1024 }
    }
    throw LabError(.failed, "/proc says nothing about RssAnon")
}

/// Processor time of this process, or of those that it started and that ended, seconds.
func processorSeconds(ofChildren: Bool = false) -> Double {
    var usage = rusage()
    let who = ofChildren ? RUSAGE_CHILDREN : RUSAGE_SELF
    getrusage(__rusage_who_t(who.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
