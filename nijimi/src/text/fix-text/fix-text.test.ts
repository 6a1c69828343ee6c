import { describe, expect, it } from "vitest";
import { align, originalSpan } from "../aligned-text.ts";
import { createTextRepair } from "./fix-text.ts";
import { unescapeHtml } from "./html-entities.ts";

const repair = createTextRepair();
const fix = (text: string): string => repair(align(text)).text;

// Expected values are those of ftfy 6.3.1.
describe("fixing text", () => {
  it.each([
    ["schÃ¶n", "schön"],
    ["donâ€™t", "don't"],
    ["â€œmojibakeâ€\u009d", '"mojibake"'],
    ["Ã la mode", "à la mode"],
    ["ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет"],
    ["sÃƒÂ³ twice", "só twice"],
    ["plain naïve café", "plain naïve café"],
    ["Ø", "Ø"],
    ["ﬁne ﬅ ĳs", "fine ſt ijs"],
    ["ｆｕｌｌ　ｗｉｄｔｈ ﾊﾟ", "full width パ"],
    ["‘single’ “double”", "'single' \"double\""],
    ["a\r\nb\u2028c", "a\nb\nc"],
    ["bell\u0007 esc\u001b[31m", "bell esc"],
    ["e\u0301", "é"],
    ["&amp; &EACUTE; &nTILDE;", "& É &nTILDE;"],
    ["<b> &amp;", "<b> &amp;"],
    ["&amp;\n<b>\n&amp;", "&\n<b>\n&amp;"],
    ["\ud800", "\ufffd"],
  ])("%j becomes %j", (text, expected) => {
    expect(fix(text)).toBe(expected);
  });

  it("is done after one call", () => {
    for (const text of ["&amp;amp;lt;", "sÃƒÂ³", "ŉ &hellip;"])
      expect(fix(fix(text))).toBe(fix(text));
  });

  it("knows where the repaired text came from", () => {
    const text = "a schÃ¶n “day”";
    const fixed = repair(align(text));
    const at = fixed.text.indexOf("ö");
    expect(text.slice(...originalSpan(fixed, at, at + 1))).toBe("Ã¶");
    expect(text.slice(...originalSpan(fixed, fixed.text.length - 1, fixed.text.length))).toBe("”");
  });

  it("takes time in proportion to the text", () => {
    for (const part of ["\n", "Ã©", "&", "ｆ", "é ", "\u001b["]) fix(part.repeat(50_000));
  }, 10_000);
});

describe("HTML references", () => {
  it.each([
    ["&amp;lt;", "&lt;"],
    ["&copy &notit;", "© ¬it;"],
    ["&#65;&#x42;&#67", "ABC"],
    ["&#150;", "–"],
    ["&#0;&#xD800;&#x110000;", "\ufffd\ufffd\ufffd"],
    ["&#11;&#xFFFE;", ""],
    ["&unknown;", "&unknown;"],
  ])("%j reads %j", (text, expected) => {
    expect(unescapeHtml(align(text)).text).toBe(expected);
  });
});
