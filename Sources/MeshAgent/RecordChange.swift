// SPDX-License-Identifier: Apache-2.0

/// What became of one record of a cluster.
struct RecordChange: Hashable, Sendable {
    /// The value that the view had before, nil for none. It tells which addresses an endpoint of
    /// another cluster had, for nobody else remembers them: without it they stay when the record
    /// goes. Of the own cluster's records it may be left out.
    let old: [UInt8]?
    /// Nil is the record's deletion.
    let new: [UInt8]?

    init(old: [UInt8]? = nil, new: [UInt8]?) {
        self.old = old
        self.new = new
    }
}
