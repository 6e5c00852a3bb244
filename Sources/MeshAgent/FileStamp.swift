// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Tells whether a file is another one than before; unreadable is a state of its own. Secrets are
/// replaced by renaming, so another file has another number.
struct FileStamp: Equatable {
    private let modified: Date?
    private let number: String?
    private let bytes: String?

    init(_ path: String) {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        modified = attributes?[.modificationDate] as? Date
        number = attributes?[.systemFileNumber].map { "\($0)" }
        bytes = attributes?[.size].map { "\($0)" }
    }
}
