// SPDX-License-Identifier: Apache-2.0

import BPF
import FoundationEssentials
import Glibc
import MeshAdmin

/// What the machine itself says, to whom may read it.
enum MachineFacts {
    /// Text that the kernel and the system keep. Nothing of it names a secret: no environment, no
    /// command line.
    static let files = [
        "/etc/os-release", "/proc/cpuinfo", "/proc/loadavg", "/proc/meminfo", "/proc/mounts",
        "/proc/net/dev", "/proc/net/fib_trie", "/proc/net/ipv6_route", "/proc/net/netstat",
        "/proc/net/route", "/proc/net/snmp", "/proc/net/snmp6", "/proc/net/sockstat",
        "/proc/net/softnet_stat", "/proc/pressure/cpu", "/proc/pressure/memory",
        "/proc/sys/kernel/unprivileged_bpf_disabled", "/proc/sys/net/core/bpf_jit_enable",
        "/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv6/conf/all/forwarding", "/proc/uptime", "/proc/version",
    ]
    private static let fileBytesMaximum = 256 << 10
    private static let namesMaximum = 2_000
    private static let elementsMaximum = 4_096
    private static let visitsMaximum = 65_536

    /// Pinned maps that may be dumped. What programs need only while they run, and what packets'
    /// contents may stand in, is left out.
    static let maps = [
        "weft_frontends", "weft_services", "weft_lists", "weft_backends", "weft_clusters",
        "weft_nodes", "weft_endpoints", "weft_prefixes", "weft_cluster_settings", "weft_tunnels",
        "weft_outer_sources", "weft_policy_sets", "weft_policy_peers", "weft_policy_intervals",
        "weft_policy_blocks", "weft_policy_known", "weft_connections", "weft_affinity",
        "weft_evidence", "weft_counters", "weft_responder",
    ]

    static func text() -> [UInt8] {
        var result: [UInt8] = []
        for file in files {
            result += Array("==> \(file) <==\n".utf8)
            do {
                result += try read(file, atMost: fileBytesMaximum)
            } catch {
                result += Array("\(error)\n".utf8)
            }
        }
        return result
    }

    /// Names and sizes of the files in the agent's folders, contents of none.
    static func sizes(of folders: [String]) -> [UInt8] {
        var lines: [String] = []
        for folder in folders {
            lines.append("\(folder):")
            do {
                let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
                for name in names.sorted().prefix(namesMaximum) {
                    let about = try FileManager.default.attributesOfItem(
                        atPath: "\(folder)/\(name)")
                    lines.append("  \(about[.size] ?? "?")  \(name)")
                }
            } catch {
                lines.append("  \(error)")
            }
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// A pinned map's first elements, a JSON object a line.
    static func dump(_ name: String, in folder: String) throws -> [UInt8] {
        struct Element: Encodable {
            let key: String
            let value: String
        }
        let map = try BPFMap(pinnedAt: "\(folder)/\(name)", name: name)
        return try map.elements(limit: elementsMaximum, visits: visitsMaximum).reduce(into: []) {
            $0 += try adminJSON(Element(key: hexadecimal($1.key), value: hexadecimal($1.value)))
            $0.append(UInt8(ascii: "\n"))
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The end of a file.
    static func tail(of path: String) throws -> [UInt8] {
        try read(path, atMost: BugReport.pieceBytesMaximum, fromEnd: true)
    }

    /// What the system's journal has of the agent.
    static func journal() throws -> [UInt8] {
        guard access("/run/systemd/system", F_OK) == 0 else {
            throw CollectionProblem(
                "this machine keeps no journal; name the agent's log with --log")
        }
        let command = "journalctl --unit weftd --no-pager --lines 20000 --output short-iso 2>&1"
        guard let pipe = popen(command, "r") else { throw FileProblem("run journalctl") }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while text.count < BugReport.pieceBytesMaximum {
            let count = fread(&buffer, 1, buffer.count, pipe)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        let status = pclose(pipe)
        guard status == 0 || !text.isEmpty else {
            throw CollectionProblem("journalctl ended with status \(status)")
        }
        return text
    }

    private static func read(
        _ path: String, atMost limit: Int, fromEnd: Bool = false
    ) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw FileProblem("read \(path)") }
        defer { close(file) }
        if fromEnd {
            let size = lseek(file, 0, Int32(SEEK_END))
            _ = lseek(file, max(size - limit, 0), Int32(SEEK_SET))
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let count = Glibc.read(file, &chunk, min(chunk.count, limit - bytes.count))
            guard count >= 0 else { throw FileProblem("read \(path)") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}

/// Why a piece of a report can't be had.
struct CollectionProblem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
