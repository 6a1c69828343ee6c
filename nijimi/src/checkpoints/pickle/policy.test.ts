import { describe, expect, it } from "vitest";
import { collectContents } from "./contents.ts";
import { checkpointPolicy, type PolicyOptions } from "./policy.ts";
import { unpickle } from "./unpickle.ts";

function load(pickle: string, options: Partial<PolicyOptions> = {}) {
  const bytes = Uint8Array.from(pickle, (character) => character.charCodeAt(0));
  return unpickle(bytes, checkpointPolicy({ name: "test.pkl", ...options })).value;
}

/** SHORT_BINUNICODE. */
function text(value: string): string {
  return `\x8c${String.fromCharCode(value.length)}${value}`;
}

/** A call of `module.name` with the arguments pushed by `args`, which has one item. */
function callOf(module: string, name: string, args = text("touch x")): string {
  return `\x80\x04${text(module)}${text(name)}\x93${args}\x85R.`;
}

describe("names in a pickle", () => {
  it.each([
    ["os", "system"],
    ["builtins", "eval"],
    ["builtins", "getattr"],
    ["__builtin__", "__import__"],
    ["nt", "system"],
    ["subprocess", "Popen"],
    ["torch", "load"],
    ["torch.hub", "load"],
    ["torch._utils_evil", "_rebuild_tensor_v2"],
    ["torch", "_utils._rebuild_tensor_v2"],
    ["collections", "OrderedDict.fromkeys"],
    ["pytorch_lightning.callbacks.x", "a.b"],
    ["numpy", "load"],
    ["operator", "attrgetter"],
    ["__torch__", "Model"],
    ["toString", "constructor"],
    ["__proto__", "x"],
  ])("are refused when they are %s.%s", (module, name) => {
    expect(() => load(callOf(module, name))).toThrow(expect.objectContaining({ code: "unsafe" }));
    expect(() => load(callOf(module, name))).toThrow(
      `test.pkl asks for "${module.replace("__builtin__", "builtins")}.${name}"`,
    );
  });

  it.each([
    ["torch._utils", "_rebuild_sparse_tensor"],
    ["torch", "ComplexFloatStorage"],
    ["torch.nn.modules.linear", "Linear"],
  ])("are known but not read when they are %s.%s", (module, name) => {
    expect(() => load(callOf(module, name))).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
    expect(() => load(callOf(module, name))).toThrow(`${module}.${name}`);
  });

  it("may be classes of callbacks, which cannot be called", () => {
    const module = "pytorch_lightning.callbacks.model_checkpoint";
    const name = `\x80\x04${text(module)}${text("ModelCheckpoint")}\x93.`;
    expect(load(name)).toMatchObject({ kind: "global", module });
    expect(() => load(callOf(module, "ModelCheckpoint"))).toThrow(`${module}.ModelCheckpoint`);
  });

  it("may be classes of a TorchScript archive where it is one", () => {
    const pickle = "\x80\x02c__torch__.a\nModel\n)\x81}X\x01\x00\x00\x00wK\x01sb.";
    expect(() => load(pickle)).toThrow("__torch__.a.Model");
    const { metadata } = collectContents(load(pickle, { torchScript: true }), "x");
    expect(metadata).toEqual({ w: 1 });
  });
});

describe("state", () => {
  it("can be set on containers of data only", () => {
    expect(load("\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.")).toEqual(
      new Map(),
    );
    expect(() => load("\x80\x02cbuiltins\nint\n}b.")).toThrow("sets the state of builtins.int");
    expect(() => load("\x80\x02K\x01}b.")).toThrow(expect.objectContaining({ code: "unsafe" }));
  });
});

describe("persistent ids", () => {
  const storage = (key: string) =>
    `\x80\x04(${text("storage")}ctorch\nFloatStorage\n${text(key)}${text("cpu")}K\x04tQ.`;

  it("are storages", () => {
    expect(load(storage("12"))).toEqual({
      kind: "storage",
      dtype: "float32",
      key: "12",
      count: 4,
      start: 0,
    });
  });

  it("are never paths", () => {
    expect(() => load(storage("../../etc/passwd"))).toThrow(
      expect.objectContaining({ code: "unsafe" }),
    );
  });

  it("are nothing else", () => {
    expect(() => load("\x80\x04\x8c\x01aQ.")).toThrow(expect.objectContaining({ code: "format" }));
    expect(() => load("Pabc\n.")).toThrow(expect.objectContaining({ code: "format" }));
  });
});

describe("small pickles of large values", () => {
  it("are refused where calls would copy the same argument again and again", () => {
    const list = `](${"N".repeat(20_000)}eq\x01`;
    const pickle = `\x80\x02${list}${"c__builtin__\nset\nh\x01\x85R".repeat(100)}.`;
    expect(() => load(pickle)).toThrow("the same large arguments again and again");
  });

  it("are refused where a tree of shared lists would be too large to walk", () => {
    const level = (n: number) =>
      `](${`h${String.fromCharCode(n - 1)}`.repeat(10)}eq${String.fromCharCode(n)}`;
    const levels = Array.from({ length: 40 }, (_, i) => level(i + 1)).join("");
    const value = load(`\x80\x02]q\x00${levels}.`);
    expect(() => collectContents(value, "test.pkl")).toThrow("more than 5000000 values");
  });

  it("are refused where a list holds itself or is nested without end", () => {
    expect(() => collectContents(load("\x80\x02]q\x00h\x00a."), "x")).toThrow("holds itself");
    const nested = load(`\x80\x02${"]".repeat(5000)}${"a".repeat(4999)}.`);
    expect(() => collectContents(nested, "x")).toThrow("nested deeper than 100");
  });
});
