// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import MeshAdmin

@Suite("The page in a browser", .tags(.browser))
struct PageBrowserTests {
    /// A page of a hundred clusters, when it has been told them.
    private static func show(
        _ body: (Browser, Page) async throws -> Void
    ) async throws {
        try await Page.run { page async throws in
            try await Browser.run("http://127.0.0.1:\(page.port)/") { browser in
                try await browser.await("document.querySelectorAll('#clusters tr').length === 100")
                try await browser.await("document.querySelectorAll('#services > li').length === 2")
                try await browser.await("document.querySelector('#news li')")
                try await body(browser, page)
                #expect(browser.complaints.isEmpty)
            }
        }
    }

    @Test("a hundred clusters: names, verdicts, services, traffic, drops and changes are there")
    func content() async throws {
        try await Self.show { browser, page async throws in
            let text: String = try browser.evaluate("document.body.innerText")
            for words in [
                "c001 / n1", "degraded", "1 manifest can't be read", "95 of 100", "c100",
                "unreachable", "suspect", "probation", "draining", "shop/api", "tier 1", "in use",
                "not live", "11 of 12 backends live", "a policy denies it", "31 packets",
                "suspect → unreachable", "policy_denied", "running for 3 min 12 s",
            ] {
                #expect(text.contains(words), "\(words)")
            }
            let first: [String] = try browser.evaluate(
                "[...document.querySelectorAll('#clusters tr')].slice(0, 5).map((row) => row.cells[1].innerText)"
            )
            #expect(Set(first) == ["unreachable", "suspect", "probation", "draining", "unknown"])

            struct Node: Decodable {
                let label: String
                let x, y: Double
                let shape: String
            }
            let nodes: [Node] = try browser.evaluate(
                """
                [...document.querySelectorAll('#mesh [role=option]')].map((node) => {
                    const box = node.querySelector('.halo').getBoundingClientRect();
                    return {label: node.getAttribute('aria-label'), x: box.x, y: box.y,
                        shape: node.querySelector('.shape').getAttribute('d')};
                })
                """)
            #expect(nodes.count == 100)
            #expect(
                nodes.contains {
                    $0.label == "c007, unreachable for 14 s, weight 0 of 255, 0 of 3 paths up, "
                        + "round trip 12 ms"
                })
            // A shape of its own for each verdict, but for the broken outline of the unknown.
            #expect(Set(nodes.map(\.shape)).count == 5)
            for (index, node) in nodes.enumerated() {
                for other in nodes[..<index] {
                    let distance =
                        (node.x - other.x) * (node.x - other.x)
                        + (node.y - other.y) * (node.y - other.y)
                    #expect(distance > 26 * 26, "\(node.label) covers \(other.label)")
                }
            }
            // Nothing but itself, and no second answer to the first question.
            #expect(browser.requests.count > 6)
            #expect(
                browser.requests.allSatisfy { $0.hasPrefix("http://127.0.0.1:\(page.port)/") })
            #expect(try browser.evaluate("document.cookie") == "")
        }
    }

    @Test("what others call themselves stays text")
    func hostile() async throws {
        try await Self.show { browser, _ async throws in
            let rows: Int = try browser.evaluate(
                "document.querySelectorAll('#clusters button').values().filter((button) => button.textContent.startsWith('<img src=x')).toArray().length"
            )
            #expect(rows == 1)
            let text: String = try browser.evaluate("document.body.innerText")
            #expect(text.contains("shop/\(PageFixture.hostile)"))
            #expect(text.contains("relay n1 hears \(PageFixture.hostile)"))
            #expect(text.contains("policy_denied, \(PageFixture.hostile)"))
            #expect(try browser.evaluate("document.querySelectorAll('b, img[src=x]').length") == 0)
            #expect(try browser.evaluate("document.title") == "c001/n1 · Weft")
        }
    }

    @Test(
        "text is readable in light and dark, also what says a verdict",
        arguments: ["light", "dark"])
    func contrast(_ scheme: String) async throws {
        struct Reading: Decodable {
            let text: String
            let ratio: Double
        }
        try await Self.show { browser, _ async throws in
            try browser.prefer("prefers-color-scheme", scheme)
            try await browser.await(
                "matchMedia('(prefers-color-scheme: \(scheme))').matches && document.getAnimations().length === 0"
            )
            let readings: [Reading] = try browser.evaluate(Self.contrastScript)
            #expect(readings.count > 300)
            // WCAG 2.2, 1.4.3: 4.5 for text of this size.
            for reading in readings where reading.ratio < 4.5 {
                Issue.record("\(reading.text): \(reading.ratio)")
            }
            let ground: [Double] = try browser.evaluate(
                "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)")
            #expect(
                scheme == "dark" ? ground.allSatisfy { $0 < 60 } : ground.allSatisfy { $0 > 200 })
        }
    }

    @Test("the keyboard reaches every cluster, its details, and comes back")
    func keyboard() async throws {
        try await Self.show { browser, _ async throws in
            func focus() throws -> String {
                try browser.evaluate(
                    "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
                )
            }
            try browser.press("Tab")
            #expect(try focus() == "Skip to the list of clusters")
            try browser.press("Tab")
            #expect(try focus().hasPrefix("c001, up for"))
            // One stop of the Tab key for all clusters.
            #expect(
                try browser.evaluate("document.querySelectorAll('#mesh [tabindex=\"0\"]').length")
                    == 1)
            let ring: String = try browser.evaluate(
                "getComputedStyle(document.activeElement.querySelector('.halo')).strokeWidth")
            #expect(ring == "3px")
            try browser.press("ArrowRight", "ArrowRight", "ArrowLeft")
            #expect(try focus().hasPrefix("c002, up for"))
            try browser.press("ArrowLeft", "ArrowLeft")
            #expect(try focus().hasPrefix("c100, up for"))
            try browser.press("Home")
            for _ in 0..<6 { try browser.press("ArrowRight") }
            #expect(try focus().hasPrefix("c007, unreachable"))
            #expect(
                try browser.evaluate("document.activeElement.getAttribute('aria-selected')")
                    == "true")
            try browser.press("Enter")
            #expect(try focus() == "c007")
            #expect(try browser.evaluate("document.activeElement.id") == "details-heading")
            try await browser.await(
                "document.getElementById('details-body').innerText.includes(\"c002 doesn't hear it either\")"
            )
            let details: String = try browser.evaluate(
                "document.getElementById('details-body').innerText")
            for words in ["unreachable", "0 of 255", "n2 → c007-2", "suspect → unreachable"] {
                #expect(details.contains(words), "\(words)")
            }
            try browser.press("Escape")
            #expect(try focus().hasPrefix("c007, unreachable"))
        }
    }

    @Test("a verdict changes under the reader's eyes, is announced, and leaves the focus alone")
    func live() async throws {
        try await Self.show { browser, page async throws in
            try browser.evaluate("window.marked = true", as: Bool.self)
            try browser.evaluate(
                "document.querySelector('#mesh [role=option]').focus() ?? true", as: Bool.self)
            page.agent.page.withLock { $0?.change(49, to: .unreachable) }
            try await browser.await(
                "document.querySelector('#mesh [aria-label^=\"c050, unreachable\"]')")
            try await browser.await(
                "[...document.querySelectorAll('#clusters tr')].some((row) => row.cells[0].innerText === 'c050' && row.cells[1].innerText === 'unreachable')"
            )
            let first: String = try browser.evaluate("document.querySelector('#news li').innerText")
            #expect(first.contains("c050") && first.contains("up → unreachable"))
            #expect(
                try browser.evaluate("document.getElementById('announcement').textContent")
                    == "c050: up → unreachable")
            #expect(try browser.evaluate("window.marked === true"))
            #expect(
                try browser.evaluate(
                    "document.activeElement.getAttribute('aria-label').startsWith('c001')"))
        }
    }

    @Test("a narrow window has no sideways scroll; little motion is no motion")
    func narrow() async throws {
        try await Self.show { browser, _ async throws in
            try browser.resize(width: 400, height: 800)
            try await browser.await(
                "document.querySelector('.picture').getBoundingClientRect().width < 400")
            #expect(try browser.evaluate("document.documentElement.scrollWidth <= 400"))
            let moving: String = try browser.evaluate(
                "getComputedStyle(document.querySelector('.shape')).transitionDuration")
            #expect(moving.contains("0.3s"))
            try browser.prefer("prefers-reduced-motion", "reduce")
            let still: String = try browser.evaluate(
                "getComputedStyle(document.querySelector('.shape')).transitionDuration")
            #expect(still == "0s")
        }
    }

    /// Every piece of text that is seen, with its contrast to what is behind it.
    private static let contrastScript = """
        (() => {
            const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
            const rgb = (color) => {
                canvas.clearRect(0, 0, 1, 1);
                canvas.fillStyle = color;
                canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data];
            };
            const luminance = ([r, g, b]) => [r, g, b].map((value) => value / 255)
                .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
                .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
            const behind = (element) => {
                for (let up = element; up; up = up.parentElement) {
                    const color = rgb(getComputedStyle(up).backgroundColor);
                    if (color[3] === 255) return color;
                }
                return [255, 255, 255];
            };
            const readings = [];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const element = walker.currentNode.parentElement;
                const text = walker.currentNode.data.trim();
                if (!text || !element.checkVisibility() || element.closest('noscript')) continue;
                const style = getComputedStyle(element);
                const ink = rgb(element.namespaceURI.endsWith('svg') ? style.fill : style.color);
                const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
                readings.push({text: `${element.tagName}.${element.className} ${text.slice(0, 30)}`,
                    ratio: (a + 0.05) / (b + 0.05)});
            }
            return readings;
        })()
        """
}
