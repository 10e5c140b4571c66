/* Goes through time, and in each step through pieces: functions that update the cells of a box.
 *
 * Everything is counted in cells of the padded grid. The pieces of a group share their rows, the cells of the first axis, out
 * among the threads in the same way, and go through them together, tile by tile. A group that needs what is done in other
 * rows before waits for all threads; one that follows another goes through the same rows slab by slab with it. Pieces that
 * are a step behind do what belongs to the step before, and the last of it after all steps.
 */

#include <stdint.h>
#include <string.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

typedef void (*function)(char *const *pointers, const int64_t *strides, const void *scalars, const int64_t *box, char *scratch);

/* which entry an array shows at a step: (step + offset) mod period, step + offset, step / period */
enum { MODULO, ROW, EVERY };
typedef struct { int64_t kind, offset, period; } rule;

/* cell 0 of an array in its entry 0, and how many bytes the entries are apart */
typedef struct { int64_t base, apart, rule; } view;

typedef struct { int64_t call, first, count, strides, scalars, every, behind, box[6]; } piece;

typedef struct { int64_t first, count, begin, end, tile[2], waits, follows; } group;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* a piece in the rows [x, x_end), and in [y, y_end) of the second of three axes */
static void in_tile(const piece *p, char *const *pointers, int axes, int64_t x, int64_t x_end, int64_t y, int64_t y_end,
                    char *scratch)
{
  int64_t box[6];
  memcpy(box, p->box, sizeof box);
  box[0] = most(box[0], x);
  box[1] = least(box[1], x_end);
  if (axes == 3) {
    box[2] = most(box[2], y);
    box[3] = least(box[3], y_end);
  }
  if (box[0] < box[1] && (axes < 3 || box[2] < box[3]))
    ((function)p->call)(pointers + p->first, (const int64_t *)p->strides, (const void *)p->scalars, box, scratch);
}

/* where every array stands at a step, and at the one before */
typedef struct { int64_t step, done, left; char **now, **before; } moment;

/* a group in the rows [x, x_end), tile by tile; what is a step behind has nothing to do in the first step, and all else
 * nothing after the last */
static void in_slab(const group *g, const piece *pieces, const moment *at, int64_t direction, int axes, int64_t x, int64_t x_end,
                    char *scratch)
{
  const piece *const first = pieces + g->first, *const end = first + g->count;
  const int64_t tiled = axes == 3 && g->tile[1], wide = tiled ? g->tile[1] : 1;
  int64_t low = tiled ? first->box[2] : 0, high = tiled ? first->box[3] : 1;
  for (const piece *p = first; tiled && p < end; p++) {
    low = least(low, p->box[2]);
    high = most(high, p->box[3]);
  }
  for (int64_t y = low; y < high; y += wide)
    for (const piece *p = first; p < end; p++)
      if (p->behind ? at->done && (at->step - direction) % p->every == 0 : at->left && at->step % p->every == 0)
        in_tile(p, p->behind ? at->before : at->now, g->tile[1] ? axes : 2, x, x_end, y, least(y + wide, high), scratch);
}

int march(const int64_t *numbers, const rule *rules, const view *views, const piece *pieces, const group *groups, char *scratch,
          int64_t first, int64_t last, int64_t direction, int64_t threads)
{
  const int64_t axes = numbers[0], n_rules = numbers[1], n_views = numbers[2], n_groups = numbers[3], room = numbers[4];
  const int64_t behind = numbers[5];
  (void)threads;
#pragma omp parallel num_threads((int)threads)
  {
    int64_t thread = 0, all = 1;
#if defined(_OPENMP)
    thread = omp_get_thread_num();
    all = omp_get_num_threads();
#endif
#if defined(__SSE__)
    /* the fields of a layer decay into denormal numbers, which are slow */
    const unsigned int mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
#endif
    char *own = scratch + thread * room;
    int64_t entry[n_rules + 1];
    char *shown[2][n_views + 1];
    const int64_t steps = last - first + 1;
    for (int64_t n = 0; n < steps + behind; n++) {
      const int64_t step = direction > 0 ? first + n : last - n;
      const moment at = {step, n, steps - n, shown[n % 2], shown[(n + 1) % 2]};
      for (int64_t r = 0; r < n_rules; r++) {
        const int64_t moved = step + rules[r].offset;
        entry[r] = rules[r].kind == MODULO ? moved % rules[r].period : rules[r].kind == ROW ? moved : step / rules[r].period;
      }
      for (int64_t v = 0; v < n_views; v++)
        at.now[v] = (char *)views[v].base + (views[v].rule < 0 ? 0 : entry[views[v].rule] * views[v].apart);
      for (const group *g = groups, *next; g < groups + n_groups; g = next) {
        for (next = g + 1; next < groups + n_groups && next->follows; next++)
          ;
        if (g->waits) {
#pragma omp barrier
        }
        const int64_t rows = g->end - g->begin;
        const int64_t x_first = g->begin + rows * thread / all, x_end = g->begin + rows * (thread + 1) / all;
        for (int64_t x = x_first; x < x_end; x += g->tile[0])
          for (const group *h = g; h < next; h++)
            in_slab(h, pieces, &at, direction, (int)axes, x, least(x + g->tile[0], x_end), own);
      }
#pragma omp barrier
    }
#if defined(__SSE__)
    _mm_setcsr(mode);
#endif
  }
  return 0;
}
