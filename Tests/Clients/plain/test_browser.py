"""The playground in a headless Chromium, by keyboard alone; skipped where none is installed."""

import re
import unittest

from browser import CHROMIUM, SHIFT, Page
from serving import KEY, SAMPLES, sample, served

if not CHROMIUM:
    print("test-clients: skipped browser - there is no Chromium")

PICTURE = "text-word.png"

# Stands for a server that begins an answer and never ends it.
ENDLESS = """
window.fetch = async (path, options) => {
  window.asked = options;
  const bytes = new TextEncoder().encode('data: {"choices":[{"delta":{"content":"<b id=hurt>ä</b><img src=x onerror=alert(1)>"}}]}\\n\\n');
  const body = new ReadableStream({ start(stream) {
    // A letter may come in two pieces.
    const cut = bytes.indexOf(0xc3) + 1;
    stream.enqueue(bytes.slice(0, cut));
    stream.enqueue(bytes.slice(cut));
    options.signal.addEventListener("abort", () => stream.error(new DOMException("", "AbortError")));
  }});
  return new Response(body);
};
"""


@unittest.skipUnless(CHROMIUM, "there is no Chromium")
class Playground(unittest.TestCase):
    def setUp(self):
        self.page = Page(served().url + "/")
        self.addCleanup(self.page.close)

    def give_key(self):
        self.page.wait("!document.querySelector('#settings').hidden")
        self.assertEqual(self.page.value("document.activeElement.id"), "key")
        self.page.type(KEY)
        self.page.press("Enter")
        self.page.wait("document.querySelector('#model').value === 'model'")
        self.page.press("Escape")
        self.assertTrue(self.page.value("document.querySelector('#settings').hidden"))
        self.page.value("document.querySelector('#prompt').focus()")

    def figures(self):
        return dict(zip(
            *(self.page.value(f"[...document.querySelectorAll('.turn:last-child {part}')].map((part) => part.innerText)") for part in ["dt", "dd"])))

    def test_a_conversation(self):
        page, (question, answer) = self.page, sample(PICTURE)
        page.wait("document.querySelector('#notice').innerText.includes('asks for an API key')")
        self.give_key()
        self.assertEqual(page.text("#served"), "model")
        page.value("document.querySelector('#temperature').value = 0")
        page.choose("#files", SAMPLES / PICTURE)
        page.wait("document.querySelectorAll('#pictures img').length === 1")
        self.assertEqual(page.value("document.activeElement.id"), "prompt")
        page.type(question)
        page.press("Enter")
        page.wait("document.querySelector('.figures')")
        self.assertEqual(page.text(".answer"), answer)
        first = self.figures()
        self.assertRegex(first["Prompt"], r"^\d+ tokens$")
        self.assertGreater(int(first["of pictures"]), 0)
        self.assertGreater(int(re.match(r"\d+", first["Answer"])[0]), 1)
        self.assertRegex(first["First token after"], r"^[\d.]+ m?s$")
        self.assertEqual(page.value("document.activeElement.id + document.querySelectorAll('#pictures img').length"), "prompt0")

        page.type("And")
        page.press("Enter", SHIFT)
        page.type("again?")
        self.assertEqual(page.value("document.querySelector('#prompt').value"), "And\nagain?")
        page.press("Enter")
        page.wait("document.querySelectorAll('.figures').length === 2")
        second = self.figures()
        tokens = [int(re.match(r"\d+", turn["Prompt"])[0]) for turn in (first, second)]
        self.assertGreater(tokens[1], tokens[0] + int(re.match(r"\d+", first["Answer"])[0]), "the first turn is part of the second prompt")
        self.assertIn("cached", second)

        page.value("document.querySelector('#new').click()")
        self.assertEqual(page.value("document.querySelectorAll('.turn').length"), 0)
        # 401 is logged by the browser itself.
        self.assertEqual([text for text in page.complaints if "401" not in text], [])

    def test_stop_and_texts_that_look_like_markup(self):
        page = self.page
        self.give_key()
        page.value(ENDLESS)
        page.type("<i>Go on</i>")
        page.press("Enter")
        page.wait("document.querySelector('.answer')?.innerText.length > 9")
        self.assertEqual(page.text(".answer"), "<b id=hurt>ä</b><img src=x onerror=alert(1)>")
        self.assertEqual(page.text(".question p"), "<i>Go on</i>")
        self.assertEqual(page.value("document.querySelectorAll('#turns :is(b, i, img)').length"), 0)
        self.assertEqual(page.value("JSON.parse(asked.body).stream_options.include_usage"), True)
        self.assertFalse(page.value("document.querySelector('#stop').hidden"))
        page.press("Escape")
        page.wait("asked.signal.aborted && document.querySelector('.remark')")
        self.assertEqual(page.text(".remark"), "Stopped.")
        self.assertEqual(page.value("document.activeElement.id"), "prompt")

    def test_errors_in_words(self):
        page = self.page
        self.give_key()
        page.value("document.querySelector('#max-tokens').value = 1000000")
        page.type("Hello")
        page.press("Enter")
        page.wait("document.querySelector('.fault')")
        self.assertIn("The server refused this: ", page.text(".fault"))
        self.assertIn("max_tokens", page.text(".fault"))
        page.value("document.querySelector('#max-tokens').value = ''")
        page.value("document.querySelector('.fault button').click()")
        page.wait("document.querySelector('.figures')")
        self.assertIsNone(page.text(".fault"))
        page.value("window.fetch = async () => { throw new TypeError('Failed to fetch'); }")
        page.type("Hello")
        page.press("Enter")
        page.wait("document.querySelector('.fault')")
        self.assertIn("cannot be reached", page.text(".fault"))


if __name__ == "__main__":
    unittest.main()
