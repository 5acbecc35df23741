// Dragging in the factor plane moves the scales of its two factors, and the model draws on the way.
// One drawing is asked for at a time. When it has come, the next is of wherever the pointer is then.
const MOVED = 4; // pixels after which a click is a drag
const REACH = 28; // pixels from the chosen point within which a finger drags it; elsewhere it scrolls the page
let dragged = false; // whether the pointer moved since its button went down: plotly may call that a click as well
let drag = null; // {plot, from: where it began, at: where the pointer is, if that is not drawn yet, over}

const axesOf = (plot) => [plot._fullLayout.xaxis, plot._fullLayout.yaxis];
const placeIn = (plot, event) => {
  const box = plot.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
const fromChosen = (plot, event) => {
  const at = placeIn(plot, event);
  const chosen = [plot.data[0].x[0], plot.data[0].y[0]];
  return Math.hypot(...axesOf(plot).map((axis, k) => axis._offset + axis.d2p(chosen[k]) - at[k]));
};
const moveTo = (plot, at) => axesOf(plot).forEach((axis, k) => {
  const id = {of: axis.title.text, type: 'factor'};
  const scale = document.getElementById(JSON.stringify(id));
  const value = Math.min(Math.max(axis.p2d(at[k] - axis._offset), +scale.min), +scale.max);
  dash_clientside.set_props(id, {value: scale.step === '1' ? Math.round(value) : value});
});
const follow = () => {
  if (!drag) return;
  const drawing = document.getElementById('drawing');
  if (drag.at && drawing && !drawing.dataset.dashIsLoading) {
    moveTo(drag.plot, drag.at);
    drag.at = null;
  }
  if (!drawing || (drag.over && !drag.at)) drag = null;
  else requestAnimationFrame(follow);
};

document.addEventListener('pointerdown', (event) => {
  const plot = event.target.closest('#plane .js-plotly-plot');
  if (!plot || !event.target.closest('.draglayer') || event.button) return;
  dragged = false;
  if (event.pointerType === 'touch' && fromChosen(plot, event) > REACH) return;
  drag = {plot, from: placeIn(plot, event), at: null, over: false};
}, true);
document.addEventListener('pointermove', (event) => {
  if (!drag || drag.over) return;
  const at = placeIn(drag.plot, event);
  if (drag.from) {
    if (Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) < MOVED) return;
    drag.from = null;
    dragged = true;
    requestAnimationFrame(follow);
  }
  drag.at = at;
}, true);
for (const end of ['pointerup', 'pointercancel']) {
  document.addEventListener(end, () => {
    if (end === 'pointercancel') dragged = true; // the page scrolls
    if (drag?.from) drag = null; // a click
    else if (drag) drag.over = true;
  }, true);
}
window.dash_clientside = Object.assign({}, window.dash_clientside, {
  plane: {
    clicked: (click, of, ids, values) => {
      if (!click || dragged) return window.dash_clientside.no_update;
      const at = {[of.h]: click.points[0].x, [of.v]: click.points[0].y};
      return ids.map((id, k) => at[id.of] ?? values[k]);
    },
  },
});
document.addEventListener('touchstart', (event) => {
  if (drag) event.preventDefault(); // the finger drags; the page does not scroll
}, {capture: true, passive: false});
