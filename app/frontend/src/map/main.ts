/** The page of a survey as a map. */

import "maplibre-gl/dist/maplibre-gl.css";
import "../viewer/viewer.css";
import "./map.css";
import { required } from "../lib/dom";
import { start } from "../lib/start";
import { open } from "./map";

void start(required("#map"), "map", open);
