// SPDX-License-Identifier: Apache-2.0

import Glibc
import KernelTestSupport

/// An object that `scripts/build-bpf` made of `bpf/tests/NAME.c`.
func contents(ofTestObject name: String, file: String = #filePath) throws -> [UInt8] {
    let root = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let path = root.joined(separator: "/") + "/bpf/tests/\(name).bpf.o"
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { throw MissingObject(path: path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw SystemFailure(errno) }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    guard read(descriptor, &bytes, bytes.count) == bytes.count else { throw SystemFailure(errno) }
    return bytes
}

struct MissingObject: Error, CustomStringConvertible {
    let path: String
    var description: String { "\(path) is missing: run scripts/build-bpf" }
}
