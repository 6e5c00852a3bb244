// SPDX-License-Identifier: Apache-2.0

import Testing

extension Tag {
    /// Needs root and a kernel with BPF.
    @Tag static var kernel: Self
}
