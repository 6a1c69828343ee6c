import { defineConfig } from "vitest/config";

const source = ["@nijimi/source"];

export default defineConfig({
  resolve: { conditions: [...source, "node", "import", "default"] },
  ssr: { resolve: { conditions: [...source, "node", "import", "default"] } },
  test: {
    include: ["nijimi/src/**/*.test.ts", "conformance/**/*.test.ts", "scripts/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.browser.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
  },
});
