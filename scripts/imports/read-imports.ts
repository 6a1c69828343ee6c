/** The imports of one TypeScript file: what is asked for, on which line, and in which way. */
import { parseSync } from "oxc-parser";

export interface Import {
  /** As written: `"./tensor.ts"`, `"node:fs"`, `"#runtime"`. A computed dynamic import has none. */
  readonly specifier: string;
  /** `type`: erased by the compiler; `static`: `import`/`export … from`; `dynamic`: `import()`. */
  readonly kind: "static" | "type" | "dynamic";
  /** 1-based. */
  readonly line: number;
}

/**
 * Imports, re-exports and dynamic imports with a literal specifier, in source order.
 *
 * @throws Error when `source` does not parse
 */
export function readImports(file: string, source: string): Import[] {
  const { module, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const at = (offset: number) => source.slice(0, offset).split("\n").length;
  const found: Import[] = [];
  for (const { moduleRequest, entries, start } of module.staticImports)
    found.push({ specifier: moduleRequest.value, kind: kindOf(entries), line: at(start) });
  for (const { entries, start } of module.staticExports) {
    const specifier = entries.find((entry) => entry.moduleRequest)?.moduleRequest?.value;
    if (specifier !== undefined) found.push({ specifier, kind: kindOf(entries), line: at(start) });
  }
  for (const { moduleRequest, start } of module.dynamicImports) {
    const literal = /^(["'])(.*)\1$/s.exec(source.slice(moduleRequest.start, moduleRequest.end));
    if (literal) found.push({ specifier: literal[2], kind: "dynamic", line: at(start) });
  }
  return found.sort((a, b) => a.line - b.line);
}

function kindOf(entries: readonly { readonly isType: boolean }[]): "static" | "type" {
  return entries.length > 0 && entries.every((entry) => entry.isType) ? "type" : "static";
}
