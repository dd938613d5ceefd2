/** The page of a survey in 3D. */

import "./viewer.css";
import { required } from "../lib/dom";
import { start } from "../lib/start";
import { open } from "./viewer";

void start(required("#viewer"), "model", open);
