// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Stands for a durable file.
final class Disk: Sendable {
    private let stored = Mutex<String?>(nil)

    var text: String? {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }
}
