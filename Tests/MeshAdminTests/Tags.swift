// SPDX-License-Identifier: Apache-2.0

import Testing

extension Tag {
    /// Opens a browser.
    @Tag static var browser: Self
}
