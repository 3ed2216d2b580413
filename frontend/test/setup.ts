import { cleanup, configure } from "@testing-library/preact";
import { afterEach } from "vitest";

configure({ getElementError: (message) => new Error(message ?? "no such element") }); // without the whole document
afterEach(cleanup);
