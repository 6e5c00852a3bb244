// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Tells whether a file is another one than before; unreadable is a state of its own. Secrets are
/// replaced by renaming, so another file has another number. Links are followed: those of a ConfigMap's
/// files stay, and lead to a folder that is replaced.
struct FileStamp: Equatable {
    private let modified: Date?
    private let number: String?
    private let bytes: String?

    init(_ path: String) {
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        modified = attributes?[.modificationDate] as? Date
        number = attributes?[.systemFileNumber].map { "\($0)" }
        bytes = attributes?[.size].map { "\($0)" }
    }
}
