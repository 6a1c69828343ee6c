/** `npm run bench -- NAME […]`: runs the benchmark of that name, or lists them. */
import { readdirSync } from "node:fs";

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !file.startsWith("_") && file !== "run.ts")
  .map((file) => file.slice(0, -3))
  .sort();
const [name] = process.argv.splice(2, 1);
if (name !== undefined && names.includes(name)) await import(`./${name}.ts`);
else {
  process.stderr.write(
    `${name === undefined ? "" : `Unknown benchmark ${name}. `}Benchmarks: ${names.join(", ")}\n`,
  );
  process.exitCode = 2;
}
