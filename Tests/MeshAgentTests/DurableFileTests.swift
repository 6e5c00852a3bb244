// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import MeshAgent

@Suite("A small file that is there whole or not at all")
struct DurableFileTests {
    @Test("says nil before the first write, then what was written last, and leaves nothing beside")
    func life() throws {
        let folder = try TemporaryFolder()
        let file = DurableFile(path: folder.path + "/epoch")
        #expect(try file.read() == nil)
        try file.write("12345")
        #expect(try file.read() == "12345")
        try file.write("7")
        #expect(try file.read() == "7")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["epoch"])
        let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test("that can't be written names itself and the reason, and keeps what it held")
    func failure() throws {
        let folder = try TemporaryFolder()
        let missing = DurableFile(path: folder.path + "/none/epoch")
        let error = #expect(throws: DurableFile.Failure.self) { try missing.write("1") }
        #expect(error?.description.contains("/none/epoch: No such file or directory") == true)

        let folderAsFile = DurableFile(path: folder.path)
        #expect(throws: DurableFile.Failure.self) { try folderAsFile.read() }
        #expect(throws: DurableFile.Failure.self) { try folderAsFile.write("1") }
        #expect(!FileManager.default.fileExists(atPath: folder.path + ".new"))
    }
}

@Suite("What tells a file from another one")
struct FileStampTests {
    /// As kubelet brings a changed ConfigMap.
    @Test("follows links: those of a ConfigMap stay, and lead to a folder that is replaced")
    func links() throws {
        let folder = try TemporaryFolder()
        let manager = FileManager.default
        for (name, text) in [("one", "same"), ("two", "same")] {
            try manager.createDirectory(
                atPath: "\(folder.path)/\(name)", withIntermediateDirectories: false)
            _ = try folder.write("\(name)/file", text)
        }
        func lead(to name: String) throws {
            _ = try? manager.removeItem(atPath: "\(folder.path)/..data")
            try manager.createSymbolicLink(
                atPath: "\(folder.path)/..data", withDestinationPath: name)
        }
        try lead(to: "one")
        try manager.createSymbolicLink(
            atPath: "\(folder.path)/file", withDestinationPath: "..data/file")
        let stamp = FileStamp("\(folder.path)/file")
        #expect(FileStamp("\(folder.path)/file") == stamp)
        try lead(to: "two")
        let next = FileStamp("\(folder.path)/file")
        #expect(next != stamp)
        try manager.removeItem(atPath: "\(folder.path)/two/file")
        #expect(FileStamp("\(folder.path)/file") != next)
    }
}
