/** Version of the package that this file belongs to. */
import { readFileSync } from "node:fs";

/** Reads `package.json`, which lies two folders above both `src/cli` and `dist/cli`. */
export function readVersion(): string {
  const json = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(json) as { version: string }).version;
}
