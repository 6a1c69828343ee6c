/**
 * Checks import directions, cycles, platform purity and barrels over the whole workspace; the rules are in
 * `imports/check.ts`. Prints one line per problem and ends non-zero when there is one.
 */
import { fileURLToPath } from "node:url";
import { checkImports, checkWebEntries } from "./imports/check.ts";
import { readPackage, readSourceFiles } from "./imports/workspace.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const pack = readPackage(root);
const files = readSourceFiles(root);
const problems = [...checkWebEntries(pack), ...checkImports(files, pack)];

for (const problem of problems) console.error(problem);
console.log(`${files.length} files, ${problems.length} import problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
