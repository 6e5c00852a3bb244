// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import MeshKubernetes
import MeshModel

/// A folder of its own, gone when the test is.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/weft-manifests-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    private var names: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }

    /// Opens, truncates, writes and closes, as an editor does that doesn't care.
    func write(_ name: String, _ text: String) {
        let file = open(name)
        append(text, to: file)
        Glibc.close(file)
    }

    func open(_ name: String) -> Int32 {
        Glibc.open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    }

    func append(_ text: String, to file: Int32) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(file, $0.baseAddress, $0.count)
            }
            precondition(count > 0, "the temporary folder can't be written")
            written += count
        }
    }

    /// Writes beside the file and renames, as one does that cares.
    func replace(_ name: String, _ text: String) {
        write(".\(name).new", text)
        rename("\(path)/.\(name).new", "\(path)/\(name)")
    }

    func remove(_ name: String) { unlink("\(path)/\(name)") }

    /// Sets the time of the last modification, in Unix seconds.
    func touch(_ name: String, _ seconds: Int) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: Double(seconds))],
            ofItemAtPath: "\(path)/\(name)")
    }
}

func cluster(_ number: UInt16) -> ClusterID { ClusterID(rawValue: number)! }

/// What a merger of `own` makes of a folder per cluster, a line a frontend and slice.
func merged(own: UInt16 = 1, _ manifests: [UInt16: String]) throws -> String {
    var merger = ServiceMerger(own: cluster(own))
    for (number, yaml) in manifests.sorted(by: { $0.key < $1.key }) {
        _ = merger.update(try changes(yaml, cluster: number))
    }
    return merger.frontends.map(describe).joined(separator: "\n")
}

func changes(_ yaml: String, cluster number: UInt16) throws -> [ServiceChange] {
    let folder = TemporaryFolder()
    folder.write("all.yaml", yaml)
    var manifests = ManifestFolder(path: folder.path)
    _ = try manifests.scan(nowUnixSeconds: 0)
    for problem in manifests.snapshot.problems { throw Unexpected(description: "\(problem)") }
    return try manifests.snapshot.exportedRecords.compactMap { key, value in
        try ServiceChange(cluster: cluster(number), key: key, value: value)
    }
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String
}

/// `10.96.0.1:80/TCP http`, then for each slice `| tier.cluster*weight address:port@node …`.
func describe(_ frontend: ServiceFrontend) -> String {
    let head = [
        "\(frontend.key)", frontend.portName,
        frontend.sessionAffinitySeconds == 0 ? "" : "\(frontend.sessionAffinitySeconds)s",
    ]
    return
        (head.filter { !$0.isEmpty }
        + frontend.slices.map { slice in
            "| \(slice.tier).\(slice.cluster)*\(slice.weight) "
                + slice.backends.map { "\($0.address):\($0.port)@\($0.node.name)" }
                .joined(separator: " ")
        })
        .joined(separator: " ")
}

/// A Service in the namespace `default`; `more` are further lines of its spec.
func service(
    _ name: String = "echo", ip: String = "10.96.0.1", annotations: String = "{}",
    ports: String = "[{name: http, port: 80}]", more: String = ""
) -> String {
    """
    ---
    apiVersion: v1
    kind: Service
    metadata:
      name: \(name)
      annotations: \(annotations)
    spec:
      clusterIP: \(ip)
      ports: \(ports)
      \(more)

    """
}

/// An EndpointSlice of a service in the namespace `default`.
func slice(
    name: String = "echo-1", service: String = "echo", type: String = "IPv4",
    ports: String = "[{name: http, port: 8080}]", _ endpoints: String...
) -> String {
    """
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata:
      name: \(name)
      labels: {kubernetes.io/service-name: \(service)}
    addressType: \(type)
    ports: \(ports)
    endpoints: [\(endpoints.joined(separator: ", "))]

    """
}

func endpoint(_ address: String, node: String = "n", _ conditions: String = "{ready: true}")
    -> String
{
    "{addresses: [\"\(address)\"], nodeName: \(node), conditions: \(conditions)}"
}

let global = #"{service.cilium.io/global: "true"}"#
