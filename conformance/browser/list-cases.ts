/** Where the browser finds the cases and their models: a list made in Node, with URLs that vite's development server answers. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve, sep } from "node:path";

/** One case: its id below the directory, and the URL of its files without their ending. */
export interface CaseAddress {
  readonly id: string;
  readonly url: string;
}

/** The cases below `directory` whose JSON names one of `sections`, sorted by id. */
export function listCases(directory: string, sections: readonly string[]): CaseAddress[] {
  const root = resolve(directory);
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".json"))
    .filter((path) => sections.some((section) => namesSection(resolve(root, path), section)))
    .map((path) => path.slice(0, -".json".length).split(sep).join("/"))
    .sort()
    .map((id) => ({ id, url: `/@fs${root.split(sep).join("/")}/${id}` }));
}

function namesSection(path: string, section: string): boolean {
  return new RegExp(`"section":\\s*"${section}"`).test(readFileSync(path, "utf8"));
}

/** All files below `directory`, as URLs by relative path. */
export function listFiles(directory: string): Record<string, string> {
  const root = resolve(directory);
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => resolve(entry.parentPath, entry.name).split(sep).join("/"));
  const base = root.split(sep).join("/");
  return Object.fromEntries(
    files.sort().map((file) => [file.slice(base.length + 1), `/@fs${file}`]),
  );
}
