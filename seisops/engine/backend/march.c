/* Goes through time, and in each step through pieces: functions that update the cells of a box.
 *
 * Everything is counted in cells of the padded grid. The pieces of a group share their rows, the cells of the first axis, out
 * among the threads in the same way, and go through them together, tile by tile. A group that needs what is done in other
 * rows before waits for all threads.
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

typedef struct { int64_t call, first, count, strides, scalars, every, box[6]; } piece;

typedef struct { int64_t first, count, begin, end, tile[2], waits; } group;

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

int march(const int64_t *numbers, const rule *rules, const view *views, const piece *pieces, const group *groups, char *scratch,
          int64_t first, int64_t last, int64_t direction, int64_t threads)
{
  const int64_t axes = numbers[0], n_rules = numbers[1], n_views = numbers[2], n_groups = numbers[3], room = numbers[4];
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
    char *pointers[n_views + 1];
    const int64_t steps = last - first + 1;
    for (int64_t n = 0; n < steps; n++) {
      const int64_t step = direction > 0 ? first + n : last - n;
      for (int64_t r = 0; r < n_rules; r++) {
        const int64_t moved = step + rules[r].offset;
        entry[r] = rules[r].kind == MODULO ? moved % rules[r].period : rules[r].kind == ROW ? moved : step / rules[r].period;
      }
      for (int64_t v = 0; v < n_views; v++)
        pointers[v] = (char *)views[v].base + (views[v].rule < 0 ? 0 : entry[views[v].rule] * views[v].apart);
      for (const group *g = groups; g < groups + n_groups; g++) {
        if (g->waits) {
#pragma omp barrier
        }
        const int64_t rows = g->end - g->begin;
        const int64_t x_first = g->begin + rows * thread / all, x_end = g->begin + rows * (thread + 1) / all;
        int64_t low = 0, high = 1;
        if (axes == 3 && g->tile[1]) {
          low = pieces[g->first].box[2];
          high = pieces[g->first].box[3];
          for (const piece *p = pieces + g->first; p < pieces + g->first + g->count; p++) {
            low = least(low, p->box[2]);
            high = most(high, p->box[3]);
          }
        }
        const int64_t wide = axes == 3 && g->tile[1] ? g->tile[1] : 1;
        for (int64_t x = x_first; x < x_end; x += g->tile[0])
          for (int64_t y = low; y < high; y += wide)
            for (const piece *p = pieces + g->first; p < pieces + g->first + g->count; p++)
              if (step % p->every == 0)
                in_tile(p, pointers, g->tile[1] ? (int)axes : 2, x, least(x + g->tile[0], x_end), y, least(y + wide, high), own);
      }
#pragma omp barrier
    }
#if defined(__SSE__)
    _mm_setcsr(mode);
#endif
  }
  return 0;
}
