import { describe, expect, it } from "vitest";
import { applySettings } from "./settings.ts";

const SETTINGS = {
  updates: 10,
  data: "",
  channels: [1, 2],
  image: { size: 64, flip: true },
  clip: null,
};

describe("applySettings", () => {
  it.each([
    [["updates=20"], { updates: 20 }],
    [["data=a=b.tar"], { data: "a=b.tar" }],
    [["channels=[3]"], { channels: [3] }],
    [["image.size=32", "image.flip=false"], { image: { size: 32, flip: false } }],
    [["clip=1.5"], { clip: 1.5 }],
  ])("%j", (changes, expected) => {
    expect(applySettings(SETTINGS, changes)).toMatchObject(expected);
  });

  it.each([
    ["update=3", 'Unknown setting "update". Did you mean "updates"'],
    ["image.sise=3", 'Did you mean "image.size"'],
    ["updates=many", "expected a number"],
    ["channels=3", "expected a list"],
    ["updates.x=3", "has no parts"],
    ["updates", "expected key=value"],
  ])("refuses %s", (change, message) => {
    expect(() => applySettings(SETTINGS, [change])).toThrow(message);
  });
});
