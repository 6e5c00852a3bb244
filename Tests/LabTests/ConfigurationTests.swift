// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

extension LabTests {
    @Test("an agent takes up what its file says now, or says that a restart would")
    func configuration() async throws {
        var file = LabFile.builtIn
        file.clusters = [file.clusters[0]]
        file.clusters[0].nodes = .count(1)
        try await withLab(file) { lab in
            let node = lab.plan.nodes[0]
            let agent = lab.agent(of: node)
            let path = "\(lab.plan.folder(of: node))/weftd.yaml"
            let text = try LabFolder.read(path)
            func setting(_ key: String, _ isWanted: @escaping (SettingStatus) -> Bool) async throws
            {
                _ = try await awaiting("another \(key)", atMost: .seconds(20)) {
                    try await agent.configuration().settings.first { $0.key == key && isWanted($0) }
                }
            }
            try LabFolder.write(
                text + "logLevel: debug\nstore: embedded\nimports: needed\n", to: path)
            try await setting("logLevel") { $0.value == "debug" && $0.source != nil }
            try await setting("imports") { $0.value == "everything" && $0.pending == "needed" }
            try await setting("store") { $0.value == "embedded" && $0.pending == nil }
            try LabFolder.write(text + "logLvel: trace\n", to: path)
            _ = try await awaiting("the mistake to be told", atMost: .seconds(20)) {
                try await agent.configuration().problem.flatMap { problem in
                    problem.contains("did you mean logLevel?") ? true : nil
                }
            }
            try await setting("logLevel") { $0.value == "debug" }
        }
    }
}
