import { describe, expect, it } from "vitest";
import {
  align,
  lowerAligned,
  normalizeAligned,
  originalSpan,
  replaceAligned,
  rewriteAligned,
  trimAligned,
  type AlignedText,
} from "./aligned-text.ts";

/** What the part of the original reads for every unit of the aligned text. */
function sources(original: string, aligned: AlignedText): string[] {
  return Array.from({ length: aligned.text.length }, (_, i) =>
    original.slice(...originalSpan(aligned, i, i + 1)),
  );
}

describe("aligned text", () => {
  it("keeps what was not replaced in its place", () => {
    const original = "a &amp; b";
    const result = replaceAligned(align(original), /&amp;/g, () => "&");
    expect(result.text).toBe("a & b");
    expect(sources(original, result)).toEqual(["a", " ", "&amp;", " ", "b"]);
  });

  it("follows several changes back to the original", () => {
    const original = "  ÉX\u0301 &lt;";
    let text = replaceAligned(align(original), /&lt;/g, () => "<");
    text = trimAligned(lowerAligned(normalizeAligned(text, "NFC")));
    expect(text.text).toBe("éx\u0301 <");
    expect(sources(original, text)).toEqual(["É", "X", "\u0301", " ", "&lt;"]);
  });

  it("lets the changed middle of a rewritten text stand for what was there", () => {
    const original = "on schÃ¶n day";
    const result = rewriteAligned(align(original), "on schön day");
    expect(sources(original, result)).toEqual([..."on sch", "Ã¶", ..."n day"]);
  });

  it("composes characters of several units", () => {
    const original = "e\u0301a";
    const result = normalizeAligned(align(original), "NFC");
    expect(result.text).toBe("éa");
    expect(sources(original, result)).toEqual(["e\u0301", "a"]);
  });

  it("lower-cases as a whole or character by character", () => {
    expect(lowerAligned(align("ΟΔΟΣ")).text).toBe("οδος");
    expect(lowerAligned(align("ΟΔΟΣ"), true).text).toBe("οδοσ");
    expect(sources("İI", lowerAligned(align("İI")))).toEqual(["İ", "İ", "I"]);
  });
});
