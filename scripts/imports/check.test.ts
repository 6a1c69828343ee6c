import { describe, expect, it } from "vitest";
import { checkImports, checkWebEntries, type Package } from "./check.ts";
import { readImports } from "./read-imports.ts";

const pack: Package = {
  subpaths: {
    "#runtime": {
      all: ["nijimi/src/runtime/web.ts", "nijimi/src/runtime/node.ts"],
      browser: "nijimi/src/runtime/web.ts",
    },
  },
  dependencies: new Set(["zod", "onnxruntime-web", "sharp"]),
};

/** Problems of files given as path below `nijimi/src` (or from the root with a leading slash) and source. */
function problemsOf(sources: Record<string, string>): string[] {
  const files = Object.entries(sources).map(([path, source]) => ({
    path: path.startsWith("/") ? path.slice(1) : `nijimi/src/${path}`,
    imports: readImports(path, source),
  }));
  return checkImports(files, pack);
}

describe("readImports", () => {
  it("finds every form with its kind and line, and nothing in comments or strings", () => {
    const source = [
      'import type { A } from "./a.ts";',
      'import { b } from "./b.ts";',
      '// import { c } from "./c.ts";',
      'const text = `import "./d.ts"`;',
      'export * from "./e.ts";',
      'export type { F } from "./f.ts";',
      'const g = await import("./g.ts");',
      "const h = await import(text);",
    ].join("\n");
    expect(readImports("x.ts", source)).toEqual([
      { specifier: "./a.ts", kind: "type", line: 1 },
      { specifier: "./b.ts", kind: "static", line: 2 },
      { specifier: "./e.ts", kind: "static", line: 5 },
      { specifier: "./f.ts", kind: "type", line: 6 },
      { specifier: "./g.ts", kind: "dynamic", line: 7 },
    ]);
  });

  it("refuses what does not parse", () => {
    expect(() => readImports("x.ts", "import {")).toThrow(/^x\.ts: /);
  });
});

describe("layers", () => {
  it("lets a folder import from itself and from those before it, also by type", () => {
    const sources = {
      "graph/trace.ts":
        'import { shape } from "./shape.ts"; import type { DType } from "../tensor/dtype.ts";',
      "nn/linear.ts":
        'import { matmul } from "../graph/ops.ts"; import { NijimiError } from "../errors.ts";',
    };
    expect(problemsOf(sources)).toEqual([]);
  });

  it.each(["import", "import type", "export"])("refuses the other direction by %s", (form) => {
    const [problem] = problemsOf({ "tensor/a.ts": `\n${form} { x } from "../graph/b.ts";` });
    expect(problem).toBe(
      "nijimi/src/tensor/a.ts:2: tensor/ may not import from graph/, which comes after it; pass in what is needed.",
    );
  });

  it("refuses a folder it does not know, and lets tests import anything", () => {
    expect(problemsOf({ "misc/a.ts": 'import "../errors.ts";' })[0]).toContain(
      '"misc" is not in the list',
    );
    expect(problemsOf({ "tensor/a.test.ts": 'import "../cli/main.ts";' })).toEqual([]);
  });

  it("lets only runtime import the engine, and only declared packages be imported", () => {
    expect(problemsOf({ "runtime/web.ts": 'import "onnxruntime-web/webgpu";' })).toEqual([]);
    expect(problemsOf({ "nn/a.ts": 'import "onnxruntime-web";' })[0]).toContain("only runtime/");
    expect(problemsOf({ "nn/a.ts": 'import "left-pad/x";' })[0]).toContain(
      '"left-pad" is not among',
    );
  });
});

describe("platforms", () => {
  it.each(["node:fs", "fs", "fs/promises", "sharp"])("keeps %s out of web-safe code", (name) => {
    const problems = problemsOf({ "images/png.ts": `const x = await import("${name}");` });
    expect(problems.at(-1)).toContain(`web-safe code imports "${name}"`);
  });

  it("lets Node-only files import both, and web-safe files import Node-only ones only by #name", () => {
    const sources = {
      "images/png.node.ts": 'import "node:fs"; import "sharp"; import "./png.ts";',
      "runtime/node.ts": 'import "node:os";',
      "runtime/compile.ts": 'import { engine } from "#runtime";',
    };
    expect(problemsOf(sources)).toEqual([]);
    expect(problemsOf({ "images/a.ts": 'await import("./png.node.ts");' })[0]).toContain(
      "images/png.node.ts",
    );
    expect(problemsOf({ "images/a.ts": 'import "#nothing";' })[0]).toContain(
      '"#nothing" is not in',
    );
  });

  it("refuses a #name that gives browsers a Node-only file", () => {
    expect(checkWebEntries(pack)).toEqual([]);
    const wrong = { "#x": { all: [], browser: "nijimi/src/runtime/node.ts" } };
    expect(checkWebEntries({ ...pack, subpaths: wrong })).toHaveLength(1);
  });
});

describe("seams", () => {
  it("refuses barrels inside the package, except from barrels", () => {
    expect(problemsOf({ "index.ts": 'export * from "./tensor/index.ts";' })).toEqual([]);
    expect(problemsOf({ "graph/a.ts": 'import "../tensor/index.ts";' })[0]).toContain(
      "barrel tensor/index.ts",
    );
    expect(problemsOf({ "graph/a.ts": 'import "nijimi/tensor";' })[0]).toContain("by name");
  });

  it("refuses relative imports of the library's files from outside it", () => {
    expect(problemsOf({ "/examples/a.ts": 'import "nijimi/tensor";' })).toEqual([]);
    expect(problemsOf({ "/scripts/a.ts": 'import "../nijimi/src/errors.ts";' })).toEqual([]);
    expect(problemsOf({ "/examples/a.ts": 'import "../nijimi/src/errors.ts";' })[0]).toContain(
      "nijimi/<folder>",
    );
  });
});

describe("cycles", () => {
  it("names the files along a cycle; types and dynamic imports make none", () => {
    const cyclic = {
      "nn/a.ts": 'import "./b.ts";',
      "nn/b.ts": 'import "./c.ts";',
      "nn/c.ts": 'import "./a.ts";',
    };
    expect(problemsOf(cyclic)).toEqual([
      "import cycle: nijimi/src/nn/a.ts → nijimi/src/nn/b.ts → nijimi/src/nn/c.ts → nijimi/src/nn/a.ts",
    ]);
    const broken = {
      ...cyclic,
      "nn/c.ts": 'import type { A } from "./a.ts"; await import("./a.ts");',
    };
    expect(problemsOf(broken)).toEqual([]);
  });
});
