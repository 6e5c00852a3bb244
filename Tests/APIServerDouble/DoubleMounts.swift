// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshKubernetes

/// A folder with the ConfigMaps of a double, `NAMESPACE/NAME/KEY`: it stands for kubelets whose pods mount
/// them.
public struct DoubleMounts: Sendable {
    private let path: String
    private var texts: [String: [UInt8]] = [:]

    public init(path: String) { self.path = path }

    /// Writes what has changed, each file in one step.
    public mutating func follow(_ server: APIServerDouble) throws {
        let present = server.state.texts(.configMaps)
        for (name, text) in present where texts[name] != text {
            let folder = "\(path)/\(name)"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            for member in try JSONValue(text)["data"].members {
                try Data((member.value.text ?? "").utf8).write(
                    to: URL(filePath: "\(folder)/\(member.key)"), options: .atomic)
            }
            texts[name] = text
        }
    }
}
